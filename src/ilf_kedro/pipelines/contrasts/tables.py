"""The tables of contrasts and standings as the report shows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pandas as pd

from ilf_kedro.evaluation.contrasts import DIFFERENCE, EQUAL_LENGTH, WIN_RATE
from ilf_kedro.report.labels import number, number_or_none, signed, thousands
from ilf_kedro.schemas import Contrasts, DataFrame, Standings

__all__ = ["difference_digits", "pairs_table", "standings_table"]

MOST = 0.5  # how far from one half a win rate can be
Row = Mapping[Hashable, Any]
Label = Callable[[str], str]


def difference_digits(own: pd.DataFrame) -> int:
    """Return with how many digits a measure's differences can be told from 0: two of the typical interval's, 3 to 9."""
    rows = own[own["statistic"].isin([DIFFERENCE, "mean"])]
    half_widths = ((rows["upper"] - rows["lower"]) / 2).where(rows["lower"].notna(), rows["value"].abs())
    typical = half_widths[half_widths > 0].median()
    return 3 if pd.isna(typical) else min(9, max(3, 1 - math.floor(math.log10(typical))))


def pairs_table(own: DataFrame[Contrasts], label: Label, *, of_wins: bool, win_rate: str = "Win rate") -> pd.DataFrame:
    """Return a row per contrast of one measure; what no row has is left out.

    p, and what would show, are of the win rate where a measure is `of_wins`, else of the difference. `win_rate` is what
    the column is called.
    """
    rows, digits = [], difference_digits(own)
    for (arm, baseline), group in own.groupby(["arm", "baseline"], sort=False):
        found = {str(row["statistic"]): row for row in group.to_dict("records")}
        tested = found.get(WIN_RATE if of_wins else DIFFERENCE, found[WIN_RATE])
        wins = found[WIN_RATE]
        rows.append(
            {
                "Arm": label(str(arm)),
                "over": label(str(baseline)),
                "Inputs": int(wins["n"]),
                win_rate: _with_interval(wins, number, 2),
                "at any time": _interval(wins, "lower_any_time", "upper_any_time"),
                "at equal length": _with_interval(found.get(EQUAL_LENGTH), number, 2),
                "Ties": _digits(wins["ties"], 2),
                "Difference": _with_interval(found.get(DIFFERENCE), signed, digits),
                "p": _p_value(tested["adjusted_p"]),
                "Shows": _shows(tested["smallest_difference"], digits, of_wins=of_wins),
                "For ±3": _count(wins["n_for_3_points"]),
            }
        )
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def standings_table(own: DataFrame[Standings], label: Label) -> pd.DataFrame:
    """Return a row per arm of one measure, the strongest first."""
    wide = {statistic: group.set_index("arm") for statistic, group in own.groupby("statistic", sort=False)}
    order = wide["strength"].sort_values("value", ascending=False, kind="stable").index
    columns = {
        "strength": ("Strength", signed, 2),
        "mean_rank": ("Mean rank", number, 2),
        "mean": ("Mean", number, difference_digits(own)),
    }
    table = pd.DataFrame({"Arm": [label(str(arm)) for arm in order]})
    for statistic, (name, written, digits) in columns.items():
        if statistic in wide:
            rows = wide[statistic].reindex(order).to_dict("records")
            table[name] = [_with_interval(row, written, digits) for row in rows]
    return table.dropna(axis=1, how="all")


def _with_interval(row: Row | None, written: Callable[[float | None, int], str], digits: int) -> str | None:
    """Return "0.65 (0.60 to 0.70)" with what of it is known."""
    if row is None or (value := number_or_none(row["value"])) is None:
        return None
    lower, upper = number_or_none(row["lower"]), number_or_none(row["upper"])
    reach = "" if lower is None or upper is None else f" ({written(lower, digits)} to {written(upper, digits)})"
    return written(value, digits) + reach


def _interval(row: Row, lower: str, upper: str) -> str | None:
    return None if pd.isna(row[lower]) else f"{number(row[lower], 2)} to {number(row[upper], 2)}"


def _digits(value: object, digits: int) -> str | None:
    found = number_or_none(value)
    return None if found is None else number(found, digits)


def _p_value(value: object) -> str | None:
    found = number_or_none(value)
    return "< 0.001" if found is not None and found < 0.001 else _digits(value, 3)


def _shows(value: object, digits: int, *, of_wins: bool) -> str | None:
    """Return what would show; nothing where not even a win rate of 0 or 1 would."""
    found = number_or_none(value)
    if found is None or not of_wins:
        return _digits(value, digits)
    return "nothing" if found > MOST else number(found, 2)


def _count(value: object) -> str | None:
    found = number_or_none(value)
    return None if found is None else thousands(int(found))
