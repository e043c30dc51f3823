"""What the comparison of reward models found, as a section of the report."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.pipelines.reward_model_comparison.figures import KINDS, by_length_figure, learning_curve
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import DataFrame, PublishedResults, RewardModelAccuracies, RewardModelBreakdowns

TITLE = "Kinds of reward model"
_PUBLISHED = {
    "opt_rm_standard": "Yes or No, OPT 1.3B",
    "opt_rm_classification": "scalar head, OPT 1.3B",
    "opt_rm_comparison": "A or B, OPT 1.3B",
    "gpt3_rm_classification": "scalar head, GPT-3",
    "gpt3_rm_comparison": "A or B, GPT-3",
}


def describe(
    accuracies: DataFrame[RewardModelAccuracies],
    breakdowns: DataFrame[RewardModelBreakdowns],
    published: DataFrame[PublishedResults],
) -> Section:
    """Say which kind is how often right, by train size, length and order; the paper's figures beside."""
    confidence = float(accuracies["confidence"].iloc[0])
    largest = int(accuracies["n_train"].max())
    at_largest = breakdowns[breakdowns["n_train"] == largest]
    return Section(
        "reward-models",
        TITLE,
        (
            Paragraph(_finding(accuracies, largest), lead=True),
            Paragraph(
                "Each kind was trained on the same first comparisons of the train split, with the same options, seed "
                "and number of optimiser steps, and held against the same comparisons of the validation split, which "
                "it never saw. “Yes or No” asks whether an output is excellent, “scalar head” computes a number where "
                "the text ends, “A or B” sees both outputs and is asked in both orders. There was one training of "
                "each: how much they would vary with the seed is not known."
            ),
            Figure(
                "learning-curve",
                learning_curve(accuracies),
                f"Held-out accuracy over the number of comparisons trained on, with {confidence:.0%} Wilson "
                "intervals over comparisons. Kinds stand a little apart so that their bars can be seen. The dotted "
                "line is a coin.",
            ),
            _accuracy_table(accuracies),
            *_length_parts(at_largest, largest, confidence),
            *_order_parts(breakdowns, confidence),
            *_published_parts(published),
        ),
    )


def _finding(accuracies: DataFrame[RewardModelAccuracies], largest: int) -> str:
    rows = accuracies[accuracies["n_train"] == largest].sort_values("accuracy", ascending=False, kind="stable")
    parts = [
        f"{KINDS[row['kind']]} on {row['n'] * row['accuracy']:g} ({row['lower']:.0%} to {row['upper']:.0%})"
        for row in rows.to_dict("records")
    ]
    found = f"Of {rows['n'].iloc[0]} held-out comparisons, reward models trained on {largest:,} are right: "
    found += "; ".join(parts) + ". "
    if (rows["lower"] <= 0.5).all():
        return found + "Not one of them is shown to be better than a coin, so these data rank no kind above another."
    if len(rows) > 1 and rows["lower"].iloc[0] <= rows["upper"].iloc[1]:
        return found + "The intervals overlap: these data rank no kind above another."
    return found + "The first is ahead of the others by more than the intervals, which are over comparisons alone."


def _accuracy_table(accuracies: DataFrame[RewardModelAccuracies]) -> Table:
    few = accuracies["calibration_verdict"].dropna()
    frame = pd.DataFrame(
        {
            "Kind": [KINDS[kind] for kind in accuracies["kind"]],
            "Trained on": accuracies["n_train"],
            "Held out": accuracies["n"],
            "Accuracy": accuracies["accuracy"],
            "Standard error": accuracies["standard_error"],
            "Lower": accuracies["lower"],
            "Upper": accuracies["upper"],
            "Ties": accuracies["ties"],
            "Calibration error": accuracies["expected_calibration_error"],
        }
    )
    caption = "Accuracy on held-out comparisons (ties count ½), and expected calibration error of p(preferred)."
    return Table(frame, f"{caption} Calibration cannot be judged: {few.iloc[0]}." if len(few) else caption)


def _length_parts(breakdowns: pd.DataFrame, largest: int, confidence: float) -> list[Part]:
    longer = breakdowns[breakdowns["measure"] == "longer_preferred"].copy()
    people = longer[longer["group"] == "people"].head(1)
    models = longer[longer["group"] == "reward model"]
    shown = pd.concat([people, models])
    who = ["people", *(KINDS[kind] for kind in models["kind"])][-len(shown) :] if len(shown) else []
    table = _share_table("Who", who, shown)
    return [
        Heading("By difference in length"),
        Paragraph(
            "A reward model that merely likes length is right where the preferred output is the longer one, and "
            "wrong where it is the shorter."
        ),
        Figure(
            "by-length",
            by_length_figure(breakdowns),
            f"Accuracy by how many tokens longer or shorter the preferred output is than the other, with "
            f"{confidence:.0%} Wilson intervals; trained on {largest:,} comparisons.",
        ),
        Table(table, "How often the longer of two outputs of unequal length is preferred."),
    ]


def _order_parts(breakdowns: pd.DataFrame, confidence: float) -> list[Part]:
    seen = breakdowns[breakdowns["measure"].isin(["shown_first", "same_in_both_orders"])]
    if seen.empty:
        return []
    names = {"shown_first": "prefers the one shown first", "same_in_both_orders": "same choice in both orders"}
    frame = _share_table("The reward model", [names[measure] for measure in seen["measure"]], seen)
    frame.insert(1, "Trained on", seen["n_train"].to_numpy())
    return [
        Heading("Position bias of A or B"),
        Paragraph(
            "Every pair is shown in both orders. A reward model without a bias for a position prefers the output "
            "shown first half of the time, and the same output in both orders; its verdict here is the mean of "
            "both orders' log-odds, in which a constant liking for a position cancels out."
        ),
        Table(frame, f"Shares of comparisons, with {confidence:.0%} Wilson intervals."),
    ]


def _share_table(heading: str, names: list[str], rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            heading: names,
            "Share": rows["share"].to_numpy(),
            "Standard error": rows["standard_error"].to_numpy(),
            "Lower": rows["lower"].to_numpy(),
            "Upper": rows["upper"].to_numpy(),
            "Comparisons": rows["n"].to_numpy(),
        }
    )


def _published_parts(published: DataFrame[PublishedResults]) -> list[Part]:
    rows = published[(published["experiment"] == "reward_models") & published["method"].isin(_PUBLISHED)]
    if rows.empty:
        return []
    frame = pd.DataFrame(
        {
            "Reward model": [_PUBLISHED[method] for method in rows["method"]],
            "Trained on": rows["train_size"].astype("Int64"),
            "Accuracy": rows["value"],
            "Standard error": rows["standard_error"],
            "Held out": rows["n"],
        }
    ).sort_values(["Reward model", "Trained on"])
    caption = "The paper's figures on SLF5K: larger models, and other comparisons than those above."
    return [Heading("Published"), Table(frame, caption)]
