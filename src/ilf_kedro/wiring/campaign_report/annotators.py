"""The part of a campaign's page on its annotators."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ilf_kedro.people.quality import EVERYONE
from ilf_kedro.report.labels import number, number_or_none
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Paragraph, Part, Table
from ilf_kedro.schemas import AnnotatorFigures, DataFrame

__all__ = ["annotator_parts"]

_PROSE = Prose(__package__, "annotators.j2")
_COLUMNS = {
    "agreement": ("Agreement", 2),
    "gold_accuracy": ("Checks right", 2),
    "skipped": ("Skipped", 2),
    "ties": ("Ties", 2),
    "prefers_first": ("Prefers the first", 2),
    "prefers_longer": ("Prefers the longer", 2),
    "seconds": ("Seconds", 0),
    "seconds_per_100_words": ("per 100 words", 1),
}
_DRIFTS = {"agreement_drift": "agreement with others", "seconds_drift": "seconds of work on an answer"}
Row = Mapping[Hashable, Any]


def annotator_parts(figures: DataFrame[AnnotatorFigures], confidence: float, *, source: str) -> list[Part]:
    """Say how far annotators agree, whose answers changed on the way, and show each one's figures."""
    found = {
        str(annotator): {str(row["metric"]): _known(row) for row in own.to_dict("records")}
        for annotator, own in figures.groupby("annotator", sort=False)
    }
    everyone = found[EVERYONE]
    drifts = [
        _PROSE.drift(annotator, what, own[metric]["value"], own[metric]["lower"], own[metric]["upper"])
        for annotator, own in found.items()
        for metric, what in _DRIFTS.items()
        if metric in own and own[metric]["lower"] * own[metric]["upper"] > 0
    ]
    return [
        Paragraph(_PROSE.agree(everyone["alpha"], everyone.get("agreement")), lead=True),
        *([Paragraph(_PROSE.drifts(drifts))] if drifts else []),
        Table(_table(found), _PROSE.table(confidence), sources=(source,)),
    ]


def _table(found: Mapping[str, Mapping[str, Row]]) -> pd.DataFrame:
    shown = {metric: column for metric, column in _COLUMNS.items() if any(metric in own for own in found.values())}
    rows = []
    for annotator, own in found.items():
        # How many tasks: skipped counts all that were handed out and came back.
        row: dict[str, object] = {"Annotator": annotator, "Tasks": int(own["skipped"]["n"]) if "skipped" in own else 0}
        for metric, (name, digits) in shown.items():
            row[name] = _cell(own.get(metric), digits)
        rows.append(row)
    return pd.DataFrame(rows)


def _cell(row: Row | None, digits: int) -> str | None:
    if row is None or row["value"] is None:
        return None
    text = number(row["value"], digits)
    if row["lower"] is not None:
        text += f" ({number(row['lower'], digits)} to {number(row['upper'], digits)})"
    return text


def _known(row: Row) -> Row:
    return dict(row) | {name: number_or_none(row[name]) for name in ("value", "lower", "upper")}
