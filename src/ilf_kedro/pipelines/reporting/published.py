"""The paper's figures beside ours: told apart by column, never on one scale."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ilf_kedro.report.labels import BEST_OF_N, arm_and_size, model_label, number_or_none
from ilf_kedro.schemas import (
    DataFrame,
    ModelMetrics,
    PublishedResults,
    RefinementMetrics,
    RewardModelAccuracy,
    TextStatistics,
)

__all__ = ["Comparison", "Figure", "PublishedRow", "beside_ours"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A published or own figure: under which condition (such as a train size), its value and error."""

    condition: str
    value: float
    standard_error: float | None
    n: int


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A method's published figures and ours."""

    method: str
    published: tuple[Figure, ...]
    ours: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An experiment of the paper beside its counterpart here, with what differs between them."""

    title: str
    paper: str
    here: str
    digits: int
    rows: tuple[PublishedRow, ...]


_JOINT = "finetuned_on_feedback_and_refinements"
_BEST = "finetuned_on_refinements_best_of_64_opt_rm"
_ARMS = {
    "finetuned_on_refinements": "refinements",
    "finetuned_on_references": "references",
    "finetuned_on_initial_outputs": "initial_outputs",
    _JOINT: "feedback_and_refinement",
}
_REFINEMENTS = {
    "refinement_without_feedback": ("refinement_without_feedback", "random"),
    "refinement_with_feedback": ("refinement_with_feedback", "random"),
    "refinement_with_feedback_best_of_5_instruct_rm": ("refinement_with_feedback", "instruct_rm_ensemble"),
}
_TEXTS = {
    "reference": "reference",
    "feedback": "feedback",
    "initial_output": "initial_output",
    "tldr_tldr_reference": "tldr_reference",
}
_ANSWERED = ("finetuned_models", "refinement_methods", "reward_models", "token_lengths", "annotation_time")


def beside_ours(
    published: DataFrame[PublishedResults],
    metrics: DataFrame[ModelMetrics],
    refinement_metrics: DataFrame[RefinementMetrics],
    accuracy: DataFrame[RewardModelAccuracy],
    statistics: DataFrame[TextStatistics],
    best_of_n: int,
) -> list[Comparison]:
    """Put each published experiment that has a counterpart here beside it."""
    experiments = {str(name): rows for name, rows in published.groupby("experiment", sort=False)}
    # The other methods of this experiment have the same names in the experiment finetuned_models.
    joint = experiments.get("language_and_comparison_feedback", published.head(0))
    finetuned = pd.concat(
        [experiments.get("finetuned_models", published.head(0)), joint[joint["method"].isin([_JOINT, _BEST])]]
    )
    rows = {name: experiments.get(name, published.head(0)) for name in _ANSWERED}
    found = [
        Comparison(
            "Win rate over references on test inputs (ours: a judge's)",
            "GPT-3 175B (best-of-64 by an OPT reward model), ranked by people",
            "our models, judged by a language model",
            3,
            _rows(finetuned, _our_win_rates(metrics) | {_BEST: _ours(metrics, BEST_OF_N, "win_rate", best_of_n)}),
        ),
        Comparison(
            "Refinement methods",
            "win rate over the initial outputs, ranked by people",
            "mean InstructRM score, another quantity; the best of 5 is chosen by that score, so high by construction",
            3,
            _rows(
                rows["refinement_methods"].query("baseline == 'initial_output'"), _our_refinements(refinement_metrics)
            ),
        ),
        Comparison(
            "Reward model that answers Yes or No, accuracy on validation comparisons",
            "OPT reward model, people's comparisons",
            "our reward model",
            3,
            _rows(
                rows["reward_models"].query("method == 'opt_rm_classification'"),
                {"opt_rm_classification": _our_accuracy(accuracy)},
            ),
        ),
        Comparison(
            "Length of texts of the train split, tokens",
            "SLF5K, GPT-2 tokens",
            "our train split, tokens of our base model",
            1,
            _rows(rows["token_lengths"], _our_texts(statistics, "tokens", "mean")),
        ),
        Comparison(
            "Median seconds to write",
            "SLF5K, development split",
            "our development split",
            1,
            _rows(rows["annotation_time"], _our_texts(statistics, "seconds", "median")),
        ),
    ]
    return [comparison for comparison in found if any(row.ours for row in comparison.rows)]


def _rows(published: pd.DataFrame, ours: Mapping[str, Iterable[Figure]]) -> tuple[PublishedRow, ...]:
    return tuple(
        PublishedRow(str(method), tuple(_published_figures(group)), tuple(ours.get(str(method), ())))
        for method, group in published.groupby("method", sort=False)
    )


def _published_figures(group: pd.DataFrame) -> list[Figure]:
    return [
        Figure(
            f"{row['train_size']:,.0f}" if pd.notna(row["train_size"]) else "",
            float(row["value"]),
            number_or_none(row["standard_error"]),
            int(row["n"]),
        )
        for row in group.to_dict("records")
    ]


def _our_win_rates(metrics: pd.DataFrame) -> dict[str, list[Figure]]:
    models = sorted({str(model) for model in metrics["model"]}, key=lambda model: (arm_and_size(model) or ("", 0))[1])
    figures: dict[str, list[Figure]] = {}
    for method, arm in _ARMS.items():
        of_arm = [model for model in models if (trained := arm_and_size(model)) and trained[0] == arm]
        figures[method] = [figure for model in of_arm for figure in _ours(metrics, model, "win_rate")]
    return figures


def _ours(metrics: pd.DataFrame, model: str, metric: str, best_of_n: int = 0) -> list[Figure]:
    found = metrics[(metrics["model"] == model) & (metrics["metric"] == metric)]
    trained = arm_and_size(model)
    condition = f"{trained[1]:,}" if trained else model_label(model, best_of_n)
    return [_figure(row, condition) for row in found.to_dict("records")]


def _our_refinements(metrics: pd.DataFrame) -> dict[str, list[Figure]]:
    scored = metrics[metrics["metric"] == "instruct_rm_ensemble"].to_dict("records")
    by_key = {(row["method"], row["chosen_by"]): _figure(row, "") for row in scored}
    return {name: [by_key[key]] for name, key in _REFINEMENTS.items() if key in by_key}


def _our_accuracy(accuracy: pd.DataFrame) -> list[Figure]:
    return [
        Figure(f"{row['n_train']:,}", float(row["accuracy"]), number_or_none(row["standard_error"]), int(row["n"]))
        for row in accuracy.to_dict("records")
    ]


def _our_texts(statistics: pd.DataFrame, unit: str, column: str) -> dict[str, list[Figure]]:
    split = "train" if unit == "tokens" else "development"
    table = statistics[(statistics["unit"] == unit) & (statistics["split"] == split) & (statistics["n"] > 0)]
    by_text = {row["text"]: row for row in table.to_dict("records")}
    names = _TEXTS | {"comparison": "comparison"}
    error = "standard_error" if column == "mean" else None
    return {
        name: [
            Figure(
                "",
                float(by_text[text][column]),
                number_or_none(by_text[text][error]) if error else None,
                by_text[text]["n"],
            )
        ]
        for name, text in names.items()
        if text in by_text
    }


def _figure(row: Mapping[Hashable, Any], condition: str) -> Figure:
    return Figure(condition, row["value"], number_or_none(row["standard_error"]), row["n"])
