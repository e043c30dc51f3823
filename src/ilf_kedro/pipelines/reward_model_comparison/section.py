"""What the comparison of reward models found, as a section of the report."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.pipelines.reward_model_comparison.figures import KINDS, by_length_figure, learning_curve
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import DataFrame, PublishedResults, RewardModelAccuracies, RewardModelBreakdowns

_PROSE = Prose(__package__)
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
            Paragraph(_PROSE.method()),
            Figure(
                "learning-curve",
                learning_curve(accuracies),
                _PROSE.learning_curve(confidence),
                sources=("reward_model_comparison.accuracies",),
            ),
            _accuracy_table(accuracies),
            *_length_parts(at_largest, largest, confidence),
            *_order_parts(breakdowns, confidence),
            *_published_parts(published),
        ),
    )


def _finding(accuracies: DataFrame[RewardModelAccuracies], largest: int) -> str:
    rows = accuracies[accuracies["n_train"] == largest].sort_values("accuracy", ascending=False, kind="stable")
    models = [row | {"kind": KINDS[row["kind"]]} for row in rows.to_dict("records")]
    verdict = "ahead"
    if (rows["lower"] <= 0.5).all():
        verdict = "coin"
    elif len(rows) > 1 and rows["lower"].iloc[0] <= rows["upper"].iloc[1]:
        verdict = "overlap"
    return _PROSE.lead(rows["n"].iloc[0], largest, models, verdict)


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
    if "calibration_error_if_calibrated" in accuracies:  # tables of earlier runs lack it
        frame["by chance alone"] = accuracies["calibration_error_if_calibrated"]
    return Table(
        frame, _PROSE.accuracies(few.iloc[0] if len(few) else None), sources=("reward_model_comparison.accuracies",)
    )


def _length_parts(breakdowns: pd.DataFrame, largest: int, confidence: float) -> list[Part]:
    longer = breakdowns[breakdowns["measure"] == "longer_preferred"].copy()
    people = longer[longer["group"] == "people"].head(1)
    models = longer[longer["group"] == "reward model"]
    shown = pd.concat([people, models])
    who = ["people", *(KINDS[kind] for kind in models["kind"])][-len(shown) :] if len(shown) else []
    table = _share_table("Who", who, shown)
    return [
        Heading("By difference in length"),
        Paragraph(_PROSE.by_length()),
        Figure(
            "by-length",
            by_length_figure(breakdowns),
            _PROSE.by_length_figure(confidence, largest),
            sources=("reward_model_comparison.breakdowns",),
        ),
        Table(table, _PROSE.by_length_table(), sources=("reward_model_comparison.breakdowns",)),
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
        Paragraph(_PROSE.position_bias()),
        Table(frame, _PROSE.position_bias_table(confidence), sources=("reward_model_comparison.breakdowns",)),
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
    return [Heading("Published"), Table(frame, _PROSE.published(), sources=("published_results",))]
