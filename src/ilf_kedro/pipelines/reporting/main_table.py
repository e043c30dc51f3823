"""The report's main table: one row per model, one column per metric."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from ilf_kedro.pipelines.reporting.labels import METRICS, Metric, in_order, model_label
from ilf_kedro.schemas import DataFrame, ModelMetrics, text_or_empty

__all__ = ["Cell", "MainTable", "ModelRow", "main_table", "number_or_none"]


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
    """A model and its cells, in the order of the columns; None where it has no such figure."""

    model: str
    label: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class MainTable:
    """Columns and rows, ready to be written."""

    columns: tuple[Metric, ...]
    rows: tuple[ModelRow, ...]


def main_table(metrics: DataFrame[ModelMetrics]) -> MainTable:
    """Arrange the metrics by model and column, leaving out columns that no model has."""
    names = [name for name in METRICS if name in set(metrics["metric"])]
    cells = {
        (str(row["model"]), str(row["metric"])): _cell(row)
        for row in metrics.to_dict("records")
        if row["metric"] in names
    }
    rows = tuple(
        ModelRow(model, model_label(model), tuple(cells.get((model, name)) for name in names))
        for model in in_order(metrics["model"])
    )
    return MainTable(tuple(METRICS[name] for name in names), rows)


def number_or_none(value: object) -> float | None:
    """Return a number cell's value; None for a null one (tables hold nulls as nan)."""
    return float(value) if isinstance(value, int | float) and not math.isnan(value) else None


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
