"""The section's part on judges: beside people where they ranked, and win rates that people correct."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pandas as pd

from ilf_kedro.evaluation.intervals import FEWEST
from ilf_kedro.report.labels import number, number_or_none
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Heading, Paragraph, Part, Table
from ilf_kedro.schemas import CorrectedWinRates, DataFrame, JudgeFigures

__all__ = ["judge_parts"]

_PROSE = Prose(__package__, "judges.j2")
_METRICS = {
    "agreement": "Agrees with people",
    "kappa": "κ with people",
    "people_agreement": "People among themselves",
    "prefers_first": "Prefers the first",
    "contradicts": "Contradicts itself",
    "prefers_longer": "Prefers the longer",
    "people_prefer_longer": "People prefer the longer",
    "ties": "Ties",
    "refuses": "Refuses",
    "covered": "Covered",
}
_MOST_DIGITS = 9  # where an interval is so narrow that fewer would show its ends as one
Row = Mapping[Hashable, Any]


def judge_parts(
    judges: DataFrame[JudgeFigures],
    corrected: DataFrame[CorrectedWinRates],
    confidence: float,
    label: Callable[[str], str],
    sources: tuple[str, str] = ("contrasts.judges", "contrasts.corrected"),
) -> list[Part]:
    """Return the parts; none without a judge."""
    if judges.empty:
        return []
    found = {
        str(judge): {str(row["metric"]): _known(row) for row in own.to_dict("records")}
        for judge, own in judges.groupby("judge", sort=False)
    }
    return [
        Heading("Judges and people"),
        *(Paragraph(_sentence(judge, own)) for judge, own in found.items()),
        *(_corrected(corrected, confidence, label, sources[1]) if len(corrected) else []),
        Table(_figures(found), _PROSE.figures(confidence), sources=sources[:1]),
    ]


def _sentence(judge: str, own: Mapping[str, Row]) -> str:
    if "agreement" not in own:
        return _PROSE.alone(judge)
    kappa = own["kappa"]
    # Perfect agreement has no interval, and is no reason to doubt; few inputs and a single answer throughout are.
    doubt = kappa["n"] < FEWEST or kappa["value"] is None or (kappa["lower"] is not None and kappa["lower"] <= 0)
    return _PROSE.beside(judge, own["agreement"], kappa, own.get("people_agreement"), doubt=doubt)


def _figures(found: Mapping[str, Mapping[str, Row]]) -> pd.DataFrame:
    columns = {metric: name for metric, name in _METRICS.items() if any(metric in own for own in found.values())}
    table = pd.DataFrame({"What the judge does": list(columns.values())})
    for judge, own in found.items():
        table[f"judge {judge}"] = [_shown(own.get(metric)) for metric in columns]
    return table


def _corrected(
    corrected: DataFrame[CorrectedWinRates], confidence: float, label: Callable[[str], str], source: str
) -> list[Part]:
    rows = [
        {
            "Arm": label(row["arm"]),
            "over": label(row["baseline"]),
            "Ranked": row["n"],
            "Judged": row["n_judged"],
            "By people, corrected": _shown(row),
            "By people alone": _interval(row["by_people"], row["lower_by_people"], row["upper_by_people"]),
            "By the judge alone": number(row["by_judge"], 2),
            "Weight": number(row["weight"], 2),
            "Judge": row["judge"],
        }
        for row in corrected.to_dict("records")
    ]
    return [Table(pd.DataFrame(rows), _PROSE.corrected(confidence), sources=(source,))]


def _known(row: Row) -> Row:
    return dict(row) | {name: number_or_none(row[name]) for name in ("value", "lower", "upper")}


def _shown(row: Row | None) -> str | None:
    return None if row is None else _interval(row["value"], row["lower"], row["upper"])


def _interval(value: object, lower: object, upper: object) -> str | None:
    found, low, high = number_or_none(value), number_or_none(lower), number_or_none(upper)
    if found is None:
        return None
    if low is None or high is None:
        return number(found, 2)
    digits = next((n for n in range(2, _MOST_DIGITS) if number(low, n) != number(high, n)), _MOST_DIGITS)
    return f"{number(found, digits)} ({number(low, digits)} to {number(high, digits)})"
