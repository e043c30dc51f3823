"""What the loop's page says: first in plain words, then the figure and the tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ilf_kedro.pipelines.word_removal.figures import exact_match_figure, removal_title
from ilf_kedro.pipelines.word_removal.options import WordRemovalOptions
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import Answers, DataFrame, ExactMatches, Joints, NoteAnswers, Notes, PairedDifferences
from ilf_kedro.schemas.word_removal import ALL

__all__ = ["LABELS", "describe"]

_PROSE = Prose(__package__)
LABELS: Mapping[str, str] = {
    "initial": "(before any feedback)",
    "initial_outputs": "initial outputs",
    "no_feedback": "without feedback",
    "shuffled_feedback": "shuffled feedback",
    "refinements": "refinements",
    "second_round": "two rounds",
    "perfect_targets": "perfect targets",
}
_CONTROLS = ("initial_outputs", "no_feedback", "shuffled_feedback")
_COLOURS = {"refinements": "#2f7fd1", "second_round": "#2f7fd1", "perfect_targets": "#2a9d6f"}
_COLOURS |= dict.fromkeys(_CONTROLS, "#d9822b")
_N_EXAMPLES = 6


def describe(
    exact: DataFrame[ExactMatches],
    joints: DataFrame[Joints],
    differences: DataFrame[PairedDifferences],
    answers: DataFrame[Answers],
    notes: DataFrame[Notes],
    right: DataFrame[NoteAnswers],
    options: WordRemovalOptions,
) -> Section:
    """Tell what the policy learned from feedback alone, and what it did not learn from the controls."""
    confidence = options.confidence
    share = f"{confidence:.0%}"
    return Section(
        "word_removal",
        "Targeted word removal: the loop learns what a hidden annotator wants",
        (
            Paragraph(_verdict(exact, confidence), lead=True),
            Paragraph(_PROSE.task(options)),
            Figure(
                "exact_match",
                exact_match_figure(exact, LABELS, _COLOURS, confidence),
                _PROSE.exact_match_figure(confidence),
                sources=("word_removal.exact_match",),
            ),
            Table(_arms(exact), _PROSE.arms_table(confidence), sources=("word_removal.exact_match",)),
            Heading("What each joint loses"),
            Table(
                joints.rename(columns={"joint": "Joint", "share": "Share", "lower": f"{share} from", "upper": "to"}),
                _PROSE.joints_table(),
                sources=("word_removal.joints",),
            ),
            Heading("Differences on the same notes"),
            Table(_differences(differences, share), _PROSE.differences_table(), sources=("word_removal.differences",)),
            Heading("Some test notes"),
            Table(
                _examples(answers, notes, right),
                _PROSE.notes_table(),
                sources=("word_removal.answers", "word_removal.notes", "word_removal.note_answers"),
                prose=True,
            ),
            Paragraph(_PROSE.limits()),
        ),
    )


def _verdict(exact: pd.DataFrame, confidence: float) -> str:
    rows = exact[exact["n_to_remove"] == ALL].set_index("model")
    best = rows.loc[list(_CONTROLS)].sort_values("upper").iloc[-1]
    return _PROSE.lead(rows.loc["refinements"], rows.loc["initial"], best, confidence)


def _arms(exact: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for model, label in LABELS.items():
        of_model = exact[exact["model"] == model].sort_values("n_to_remove")
        row: dict[str, object] = {"Finetuned on": label}
        for cell in of_model.to_dict("records"):
            title = removal_title(int(cell["n_to_remove"]))
            row[f"{title}, n = {cell['n']}"] = f"{cell['exact_match']:.1%} ({cell['lower']:.1%} to {cell['upper']:.1%})"
        rows.append(row)
    return pd.DataFrame(rows)


def _differences(differences: pd.DataFrame, share: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Finetuned on": [LABELS[model] for model in differences["model"]],
            "less that on": [LABELS[model] for model in differences["baseline"]],
            "n": differences["n"],
            "Difference": differences["difference"],
            f"{share} from": differences["lower"],
            "to": differences["upper"],
        }
    )


def _examples(answers: pd.DataFrame, notes: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Show the first test notes with what the refinements arm made of them."""
    test = notes[notes["part"] == "test"].head(_N_EXAMPLES)
    said = answers[answers["model"] == "refinements"].set_index("example_id")["text"]
    wanted = right.set_index("example_id")["answer"]
    return pd.DataFrame(
        {
            "Note": test["text"],
            "Passed on after finetuning on refinements": [said[example_id] for example_id in test["example_id"]],
            "Right": ["yes" if said[i] == wanted[i] else f"no: {wanted[i]}" for i in test["example_id"]],
        }
    )
