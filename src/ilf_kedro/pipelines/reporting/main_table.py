"""The report's main table: one row per model, one column per metric."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ilf_kedro.pipelines.reporting.trainings import Training
from ilf_kedro.report.labels import (
    BEST_OF_N,
    METRICS,
    Metric,
    in_order,
    model_label,
    number_or_none,
    sampler_of_best_of_n,
)
from ilf_kedro.schemas import DataFrame, ModelMetrics, text_or_empty

__all__ = ["Cell", "MainTable", "ModelRow", "main_table"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as the tables hold it, with its error and interval; `digits` is how many the report shows."""

    metric: str
    digits: int
    value: float
    standard_error: float | None
    lower: float | None
    upper: float | None
    n: int
    note: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model and its cells, in the order of the columns; None where it has no such figure.

    `note` says what the label does not.
    """

    model: str
    label: str
    note: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A metric and over how many examples each model's figure is; None where models differ in that."""

    metric: Metric
    n: int | None


@dataclass(frozen=True, slots=True)
class MainTable:
    """Columns and rows, ready to be written."""

    columns: tuple[Column, ...]
    rows: tuple[ModelRow, ...]


def main_table(
    metrics: DataFrame[ModelMetrics],
    trainings: Sequence[Training],
    best_of_n: int,
    best_of_n_from: str | None = None,
    chooser: str = "reward",
) -> MainTable:
    """Arrange the metrics by model and column, leaving out columns that no model has."""
    names = [name for name in METRICS if name in set(metrics["metric"])]
    cells = {
        (str(row["model"]), str(row["metric"])): _cell(row)
        for row in metrics.to_dict("records")
        if row["metric"] in names
    }
    notes = _notes(metrics["model"], trainings, best_of_n, best_of_n_from, chooser)
    rows = tuple(
        ModelRow(
            model,
            model_label(model, best_of_n),
            notes.get(model, ""),
            tuple(cells.get((model, name)) for name in names),
        )
        for model in in_order(metrics["model"])
    )
    columns = []
    for name in names:
        numbers = {cell.n for (_, metric), cell in cells.items() if metric == name}
        columns.append(Column(METRICS[name], numbers.pop() if len(numbers) == 1 else None))
    return MainTable(tuple(columns), rows)


def _notes(
    models: Iterable[str], trainings: Sequence[Training], best_of_n: int, best_of_n_from: str | None, chooser: str
) -> dict[str, str]:
    """Say who sampled for best-of-N, and which models learned from fewer examples than their size."""
    notes = {
        training.model: f"only {training.n_examples:,} had a target"
        for training in trainings
        if training.asked is not None and training.n_examples != training.asked
    }
    sampler = sampler_of_best_of_n(models, best_of_n_from)
    if sampler is not None:
        notes[BEST_OF_N] = f"by {chooser}, sampled from {model_label(sampler, best_of_n)}"
    return notes


def _cell(row: Mapping[Hashable, Any]) -> Cell:
    return Cell(
        metric=row["metric"],
        digits=METRICS[row["metric"]].digits,
        value=row["value"],
        standard_error=number_or_none(row["standard_error"]),
        lower=number_or_none(row["lower"]),
        upper=number_or_none(row["upper"]),
        n=row["n"],
        note=text_or_empty(row["note"]),
    )
