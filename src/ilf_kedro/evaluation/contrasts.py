"""Every two arms compared, paired by example: win rates, at equal length, differences, and where each arm stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ilf_kedro.evaluation.bradley_terry import PairOutcomes, strengths
from ilf_kedro.evaluation.clustering import Judgements, clustered_mean
from ilf_kedro.evaluation.intervals import Bootstrap, Estimate
from ilf_kedro.evaluation.length_control import Comparisons, length_controlled_share
from ilf_kedro.evaluation.measurements import RANKS
from ilf_kedro.evaluation.power import any_time_interval, n_for_half_width, smallest_difference
from ilf_kedro.schemas import Contrasts, DataFrame, Measurements, Standings

__all__ = ["DIFFERENCE", "EQUAL_LENGTH", "WIN_RATE", "contrasts", "standings"]

Floats = NDArray[np.float64]
Row = dict[str, object]

WIN_RATE = "win_rate"
EQUAL_LENGTH = "win_rate_at_equal_length"
DIFFERENCE = "difference"

_POINTS = 0.03
_KEYS = ["measure", "statistic"]


def contrasts(
    measurements: DataFrame[Measurements], bootstrap: Bootstrap, pairs: Sequence[tuple[str, str]] | None = None
) -> DataFrame[Contrasts]:
    """Compare the arms of each of `pairs` (each arm with each that comes later, where None) by every measure.

    A win rate counts 1 where the first arm's value is higher, ½ where both are equal; differences are of values, and
    ranks have none. Several judgements of an input are averaged first, and errors are clustered by input and by
    annotator (see clustered_mean). p-values are of a win rate of ½ and of a difference of 0, corrected by Holm's (1979)
    method for all contrasts of one measure and statistic. A pair without a common example has a row that says so.
    """
    rows: list[Row] = []
    for measure, own in measurements.groupby("measure", sort=False):
        asked = list(pairs if pairs is not None else combinations(dict.fromkeys(own["arm"]), 2))
        level = (1 - bootstrap.confidence) / max(1, len(asked))
        values, lengths = _wide(own, "value"), _wide(own, "length")
        for arm, baseline in asked:
            names = {"measure": measure, "arm": arm, "baseline": baseline}
            rows += [names | row for row in _contrast(values, lengths, (arm, baseline), str(measure), bootstrap, level)]
    table = pd.DataFrame(rows, columns=Contrasts.column_names())
    return Contrasts.validate(table.assign(adjusted_p=_holm(table)))


def standings(measurements: DataFrame[Measurements], bootstrap: Bootstrap) -> DataFrame[Standings]:
    """Say where each arm stands by every measure: its strength, its mean rank, and, but for ranks, its mean value.

    Mean ranks are over the examples that every arm has; tied arms share the mean of the places that they take.
    """
    rows: list[Row] = []
    for measure, own in measurements.groupby("measure", sort=False):
        values = _wide(own, "value")
        found = {"strength": _strengths(values, bootstrap.confidence), "mean_rank": _mean_ranks(values, bootstrap)}
        if not str(measure).startswith(RANKS):
            found["mean"] = [_mean_of(values[arm].dropna(), bootstrap) for arm in values.columns]
        rows += [
            {"measure": measure, "arm": arm, "statistic": statistic, **asdict(estimate)}
            for statistic, estimates in found.items()
            for arm, estimate in zip(values.columns, estimates, strict=True)
        ]
    return Standings.from_rows(rows)


def _wide(own: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a row per example and judge, in the order in which they came, and a column per arm."""
    wide = own.set_index(["example_id", "judged_by", "arm"])[column].unstack("arm")  # noqa: PD010  # no aggregation
    order = own[["example_id", "judged_by"]].drop_duplicates()
    return wide.reindex(index=pd.MultiIndex.from_frame(order), columns=list(dict.fromkeys(own["arm"])))


def _judgements(index: pd.Index) -> Judgements:
    return Judgements.of(index.get_level_values(0).tolist(), index.get_level_values(1).tolist())


def _contrast(
    values: pd.DataFrame,
    lengths: pd.DataFrame,
    pair: tuple[str, str],
    measure: str,
    bootstrap: Bootstrap,
    level: float,
) -> Iterator[Row]:
    """Yield the rows of one pair of arms."""
    both = values.reindex(columns=list(pair)).dropna()
    ranked = measure.startswith(RANKS)
    if both.empty:
        counts = {"n_judgements": 0, "n_judges": 0}
        yield {"statistic": WIN_RATE, **counts, **asdict(Estimate(np.nan, 0, note="no example has both"))}
        return
    judgements = _judgements(both.index)
    counts = {"n_judgements": len(both), "n_judges": judgements.n_annotators}
    gaps = (both[pair[0]] - both[pair[1]]).to_numpy(dtype=np.float64)
    outcomes = np.asarray((np.sign(gaps) + 1) / 2)
    won = clustered_mean(outcomes, judgements, bootstrap, share=True)
    any_time = any_time_interval(won.per_input, confidence=bootstrap.confidence) if ranked else None
    lower, upper = any_time or (None, None)
    yield {
        "statistic": WIN_RATE,
        **counts,
        **asdict(won.estimate),
        "ties": float((outcomes == 0.5) @ judgements.weights / judgements.weights.sum()),
        "p_value": won.p_value(0.5, seed=bootstrap.seed),
        "smallest_difference": smallest_difference(won.estimate, level=level),
        "n_for_3_points": n_for_half_width(won.estimate, _POINTS, confidence=bootstrap.confidence),
        "lower_any_time": lower,
        "upper_any_time": upper,
    }
    if not ranked:
        gap = clustered_mean(gaps, judgements, bootstrap)
        yield {
            "statistic": DIFFERENCE,
            **counts,
            **asdict(gap.estimate),
            "p_value": gap.p_value(0.0, seed=bootstrap.seed),
            "smallest_difference": smallest_difference(gap.estimate, level=level),
        }
    longer_by = lengths.loc[both.index, pair[0]] - lengths.loc[both.index, pair[1]]
    if longer_by.notna().all():
        compared = Comparisons(outcomes, longer_by.to_numpy(), judgements.weights, judgements.inputs)
        controlled = length_controlled_share(compared, confidence=bootstrap.confidence)
        yield {"statistic": EQUAL_LENGTH, **counts, **asdict(controlled)}


def _holm(table: pd.DataFrame) -> pd.Series:
    """Return Holm's adjusted p-values, over all that one measure and statistic has."""
    from statsmodels.stats.multitest import multipletests  # slow to import

    adjusted = pd.Series(np.nan, index=table.index, dtype=float)
    for _, own in table[table["p_value"].notna()].groupby(_KEYS, sort=False):
        adjusted[own.index] = multipletests(own["p_value"].to_numpy(dtype=float), method="holm")[1]
    return adjusted


def _strengths(values: pd.DataFrame, confidence: float) -> list[Estimate]:
    table = values.to_numpy(dtype=np.float64)
    first, second = np.triu_indices(table.shape[1], 1)
    gaps = table[:, first] - table[:, second]
    row, pair = np.nonzero(~np.isnan(gaps))
    if not row.size:
        return [Estimate(np.nan, 0, note="no example has two arms")] * table.shape[1]
    outcomes = PairOutcomes(
        first=first[pair],
        second=second[pair],
        outcomes=(np.sign(gaps[row, pair]) + 1) / 2,
        judgements=_judgements(values.index[row]),
    )
    return strengths(outcomes, table.shape[1], confidence=confidence)


def _mean_ranks(values: pd.DataFrame, bootstrap: Bootstrap) -> list[Estimate]:
    whole = values.dropna()
    if whole.empty:
        return [Estimate(np.nan, 0, note="no example has every arm")] * values.shape[1]
    ranks = scipy.stats.rankdata(-whole.to_numpy(dtype=np.float64), method="average", axis=1)
    judgements = _judgements(whole.index)
    return [clustered_mean(column, judgements, bootstrap).estimate for column in ranks.T]


def _mean_of(values: pd.Series, bootstrap: Bootstrap) -> Estimate:
    if values.empty:
        return Estimate(np.nan, 0, note="it has no value")
    return clustered_mean(values.to_numpy(dtype=np.float64), _judgements(values.index), bootstrap).estimate
