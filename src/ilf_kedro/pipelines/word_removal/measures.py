"""What came of it: exact matches, what each joint of the loop loses, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate, share_estimate, standard_error_of_mean
from ilf_kedro.pipelines.word_removal.options import WordRemovalOptions
from ilf_kedro.schemas import (
    Answers,
    DataFrame,
    ExactMatches,
    Examples,
    Joints,
    NoteAnswers,
    PairedDifferences,
    Refinements,
    Selections,
)
from ilf_kedro.schemas.word_removal import ALL
from ilf_kedro.tasks.word_removal.sentences import find_words, remove_words

__all__ = ["collect_answers", "compare_arms", "exact_matches", "measure_exact_match", "measure_joints"]


def collect_answers(*tables: DataFrame[Answers]) -> DataFrame[Answers]:
    """Put the test answers of all models into one table."""
    return Answers.validate(pd.concat(list(tables), ignore_index=True))


def measure_exact_match(
    answers: DataFrame[Answers], right: DataFrame[NoteAnswers], options: WordRemovalOptions
) -> DataFrame[ExactMatches]:
    """Count the answers that are, letter by letter, what the hidden annotator wants."""
    return exact_matches(_judge(answers, right), confidence=options.confidence)


def exact_matches(judged: pd.DataFrame, *, confidence: float) -> DataFrame[ExactMatches]:
    """Return each model's share of right answers, together and by number of words to remove.

    `judged` has the columns model, n_to_remove and right, one row per answer.
    """
    rows = []
    for model, of_model in judged.groupby("model", sort=False):
        groups = {ALL: of_model, **{int(str(n)): rows for n, rows in of_model.groupby("n_to_remove")}}
        for n_to_remove, group in groups.items():
            estimate = share_estimate(int(group["right"].sum()), len(group), confidence=confidence)
            rows.append(
                {
                    "model": model,
                    "n_to_remove": n_to_remove,
                    "n": estimate.n,
                    "exact_match": estimate.value,
                    "standard_error": standard_error_of_mean(group["right"]),
                    "lower": estimate.lower,
                    "upper": estimate.upper,
                }
            )
    return ExactMatches.validate(pd.DataFrame(rows))


def compare_arms(
    answers: DataFrame[Answers],
    right: DataFrame[NoteAnswers],
    options: WordRemovalOptions,
    seed: int,
    *,
    pairs: Sequence[tuple[str, str]],
) -> DataFrame[PairedDifferences]:
    """Return how much more often the first model of each pair is right than the second, paired by test note."""
    judged = _judge(answers, right)
    by_model = judged.pivot_table(index="example_id", columns="model", values="right", aggfunc="first").astype(float)
    rows = []
    for model, baseline in pairs:
        estimate = mean_estimate(by_model[model] - by_model[baseline], _bootstrap(options, seed))
        rows.append(
            {
                "model": model,
                "baseline": baseline,
                "n": estimate.n,
                "difference": estimate.value,
                "lower": estimate.lower,
                "upper": estimate.upper,
                "note": estimate.note,
            }
        )
    return PairedDifferences.validate(pd.DataFrame(rows))


def measure_joints(
    examples: DataFrame[Examples],
    refined: DataFrame[Refinements],
    selections: DataFrame[Selections],
    right: DataFrame[NoteAnswers],
    exact: DataFrame[ExactMatches],
    options: WordRemovalOptions,
    seed: int,
) -> DataFrame[Joints]:
    """Measure each joint of the refinements arm by itself.

    The refiner is right where it removes what the feedback names from the output that it was given; selection,
    where it takes a right refinement of those notes that have one; the policy, on test notes after perfect
    targets. What comes of the first joints together is the share of targets that the hidden annotator wants.
    """
    wanted = {
        row["example_id"]: remove_words(row["initial_output"], find_words(row["feedback"]))
        for row in examples.to_dict("records")
    }
    follows = refined["text"] == refined["example_id"].map(wanted)
    by_note = follows.groupby(refined["example_id"]).agg(["mean", "any"])
    chosen = selections.set_index("example_id")["text"]
    with_right = by_note.index[by_note["any"]]
    selected = chosen.reindex(with_right) == pd.Series(wanted).reindex(with_right)
    answer = right.set_index("example_id")["answer"]
    copied = examples["initial_output"] == examples["note"]
    perfect = exact[(exact["model"] == "perfect_targets") & (exact["n_to_remove"] == ALL)].iloc[0]
    share = options.confidence
    rows: Mapping[str, Estimate | None] = {
        "initial output is the note itself": _share(copied, share),
        "one refinement follows its feedback": mean_estimate(by_note["mean"], _bootstrap(options, seed)),
        f"one of {options.refinements.n_refinements} refinements does": _share(by_note["any"], share),
        "the verifier takes one that does, where there is one": _share(selected, share),
        "the target is what the annotator wants": _share(chosen == answer.reindex(chosen.index), share),
        "the policy is right after perfect targets": Estimate(
            perfect["exact_match"], int(perfect["n"]), None, perfect["lower"], perfect["upper"]
        ),
    }
    table = [
        {
            "joint": joint,
            "n": estimate.n if estimate else 0,
            "share": estimate.value if estimate else np.nan,
            "lower": estimate.lower if estimate else np.nan,
            "upper": estimate.upper if estimate else np.nan,
        }
        for joint, estimate in rows.items()
    ]
    return Joints.validate(pd.DataFrame(table))


def _judge(answers: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Add to each answer how many words were to go, and whether it is right."""
    table = answers.merge(right[["example_id", "n_to_remove", "answer"]], on="example_id", how="left")
    return table.assign(right=table["text"] == table["answer"])


def _share(successes: pd.Series, confidence: float) -> Estimate | None:
    return share_estimate(int(successes.sum()), len(successes), confidence=confidence) if len(successes) else None


def _bootstrap(options: WordRemovalOptions, seed: int) -> Bootstrap:
    return Bootstrap(options.confidence, options.bootstrap_resamples, seed)
