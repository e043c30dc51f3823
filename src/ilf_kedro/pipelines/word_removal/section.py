"""What the loop's page says: first in plain words, then the figure and the tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ilf_kedro.pipelines.word_removal.figures import exact_match_figure, removal_title
from ilf_kedro.pipelines.word_removal.options import WordRemovalOptions
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import Answers, DataFrame, ExactMatches, Joints, NoteAnswers, Notes, PairedDifferences
from ilf_kedro.schemas.word_removal import ALL

__all__ = ["LABELS", "describe"]

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
    share = f"{options.confidence:.0%}"
    return Section(
        "word_removal",
        "Targeted word removal: the loop learns what a hidden annotator wants",
        (
            Paragraph(_verdict(exact, share), lead=True),
            Paragraph(_task(options)),
            Figure(
                "exact_match",
                exact_match_figure(exact, LABELS, _COLOURS, options.confidence),
                f"Exact match on unseen notes, without feedback, greedy, by what the policy was finetuned on; bars are "
                f"{share} Wilson intervals over notes. All arms have the same number of examples, steps and seeds; two "
                "rounds have twice as many. Perfect targets, by the annotator, are the upper bound.",
            ),
            _table_of_arms(exact, share),
            Heading("What each joint loses"),
            Table(
                joints.rename(columns={"joint": "Joint", "share": "Share", "lower": f"{share} from", "upper": "to"}),
                "Each joint of the refinements arm by itself. What the policy gets right is bounded by its targets "
                "and by what it makes of perfect ones.",
            ),
            Heading("Differences on the same notes"),
            _differences(differences, share),
            Heading("Some test notes"),
            _examples(answers, notes, right),
            Paragraph(
                "One seed trained every arm, so the intervals hold for other notes, not for other trainings. The notes "
                "are made from a few patterns and the verifier knows what a right refinement is: this shows that "
                "every joint of the loop works, not how well it works on outputs."
            ),
        ),
    )


def _verdict(exact: pd.DataFrame, share: str) -> str:
    rows = exact[exact["n_to_remove"] == ALL].set_index("model")
    ours, before = rows.loc["refinements"], rows.loc["initial"]
    best = rows.loc[list(_CONTROLS)].sort_values("upper").iloc[-1]
    apart = (
        "lies above every control's"
        if ours["lower"] > best["upper"]
        else "does not lie above every control's, so that this run shows no clear effect of the feedback"
    )
    return (
        f"Finetuned on refinements, the policy passes on {ours['exact_match']:.0%} of {ours['n']:.0f} unseen notes "
        f"just as the annotator wants them ({share} interval {ours['lower']:.0%} to {ours['upper']:.0%}); before, "
        f"it was {before['exact_match']:.0%}. The interval {apart}: the best control reaches {best['exact_match']:.0%} "
        f"({best['lower']:.0%} to {best['upper']:.0%})."
    )


def _task(options: WordRemovalOptions) -> str:
    return (
        f"A policy passes on notes about people. A hidden annotator objects to {options.annotator.n_objections} of 24 "
        "words, always the same, and says about each output which of its words should go. A refinement model, which "
        f"learned from {options.refiner.n_written} examples by other annotators to do what a comment says, writes "
        f"{options.refinements.n_refinements} refinements of each of {options.notes.n_train} outputs; a verifier that "
        "sees the comment alone takes the best; the policy is finetuned on it. It is tested without any comment on "
        "notes that it never saw. The controls differ in one thing each: comments on other outputs, no comment "
        "(and a random choice), or no refinement at all."
    )


def _table_of_arms(exact: pd.DataFrame, share: str) -> Table:
    rows = []
    for model, label in LABELS.items():
        of_model = exact[exact["model"] == model].sort_values("n_to_remove")
        row: dict[str, object] = {"Finetuned on": label}
        for cell in of_model.to_dict("records"):
            title = removal_title(int(cell["n_to_remove"]))
            row[f"{title}, n = {cell['n']}"] = f"{cell['exact_match']:.1%} ({cell['lower']:.1%} to {cell['upper']:.1%})"
        rows.append(row)
    table = pd.DataFrame(rows)
    return Table(table, f"Exact match with {share} Wilson intervals, by number of words to remove.")


def _differences(differences: pd.DataFrame, share: str) -> Table:
    table = pd.DataFrame(
        {
            "Finetuned on": [LABELS[model] for model in differences["model"]],
            "less that on": [LABELS[model] for model in differences["baseline"]],
            "n": differences["n"],
            "Difference": differences["difference"],
            f"{share} from": differences["lower"],
            "to": differences["upper"],
        }
    )
    return Table(table, "Difference in exact match, paired by note, with bootstrap intervals over notes.")


def _examples(answers: pd.DataFrame, notes: pd.DataFrame, right: pd.DataFrame) -> Table:
    """Show the first test notes with what the refinements arm made of them."""
    test = notes[notes["part"] == "test"].head(_N_EXAMPLES)
    said = answers[answers["model"] == "refinements"].set_index("example_id")["text"]
    wanted = right.set_index("example_id")["answer"]
    table = pd.DataFrame(
        {
            "Note": test["text"],
            "Passed on after finetuning on refinements": [said[example_id] for example_id in test["example_id"]],
            "Right": ["yes" if said[i] == wanted[i] else f"no: {wanted[i]}" for i in test["example_id"]],
        }
    )
    return Table(table, "The first test notes.", prose=True)
