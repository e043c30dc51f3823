"""Which scorers the data tell apart: paired tests of every two, corrected for their number, and their power."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ilf_kedro.evaluation.intervals import Bootstrap, mean_estimate
from ilf_kedro.schemas import DataFrame, ScorerContests

__all__ = ["POWER", "contests", "rankings_needed", "sign_flip_tests"]

Floats = NDArray[np.float64]

POWER = 0.8
_ENUMERATED = 12  # examples up to which all 2^n flips are tried
_DRAWN = 9_999
_ROUNDING = 1e-9


def contests(values: pd.DataFrame, bootstrap: Bootstrap) -> DataFrame[ScorerContests]:
    """Compare every two columns of `values`: one row per example, one column per scorer, its win rates.

    Intervals are by a paired bootstrap over examples, each for itself; p-values as `sign_flip_tests` returns
    them, and the rankings needed are for a test corrected (Bonferroni) for all contests of the table.

    Raises:
        ValueError: there are fewer than two scorers, or a value is missing.
    """
    if values.shape[1] < 2 or values.isna().any(axis=None):
        raise ValueError("contests need two scorers or more, and each scorer's value for every example")
    ranked = values[values.mean().sort_values(ascending=False, kind="stable").index]
    first, second = np.triu_indices(ranked.shape[1], 1)
    table = ranked.to_numpy(dtype=np.float64)
    differences = table[:, first] - table[:, second]
    p_values, adjusted = sign_flip_tests(table, first, second, seed=bootstrap.seed)
    level = (1 - bootstrap.confidence) / len(first)
    names = [str(name) for name in ranked.columns]
    rows = []
    for pair, (one, other) in enumerate(zip(first, second, strict=True)):
        estimate = mean_estimate(differences[:, pair], bootstrap)
        rows.append(
            {
                "scorer": names[one],
                "other": names[other],
                "n": estimate.n,
                "difference": estimate.value,
                "standard_error": estimate.standard_error,
                "lower": estimate.lower,
                "upper": estimate.upper,
                "p_value": p_values[pair],
                "adjusted_p": adjusted[pair],
                "rankings_needed": rankings_needed(differences[:, pair], level=level),
            }
        )
    return ScorerContests.validate(pd.DataFrame(rows))


def sign_flip_tests(
    table: Floats, first: NDArray[np.int64], second: NDArray[np.int64], *, seed: int
) -> tuple[Floats, Floats]:
    """Return two-sided p-values of columns `first` against `second` of `table` (examples, scorers), and adjusted ones.

    Under the null hypothesis that two scorers do equally well, each example's difference is as probable with
    the other sign. An example's sign is flipped for all pairs together, so that their correlation is kept, and
    the statistic is the sum of differences over the root of the sum of their squares. Adjusted p-values are the
    step-down maxima of Westfall and Young (1993): the probability of any false finding among all pairs stays below
    the level, whichever scorers are compared after looking. Up to 12 examples every flip is counted, so that
    the smallest possible p-value of n examples is 2^(1 - n); else 9,999 are drawn from `seed`.
    """
    n = len(table)
    if n <= _ENUMERATED:
        signs = np.array(list(product((1.0, -1.0), repeat=n)))
    else:
        drawn = np.random.default_rng(seed).choice((1.0, -1.0), size=(_DRAWN, n))
        signs = np.vstack([np.ones(n), drawn])
    sums = signs @ table
    norms = np.sqrt(((table[:, first] - table[:, second]) ** 2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        flipped = np.where(norms > _ROUNDING, np.abs(sums[:, first] - sums[:, second]) / norms, 0.0)
    observed = flipped[0]  # the first row of signs flips nothing
    p_values = (flipped >= observed - _ROUNDING).mean(axis=0)
    order = np.argsort(-observed, kind="stable")
    highest_below = np.maximum.accumulate(flipped[:, order[::-1]], axis=1)[:, ::-1]
    stepped = np.maximum.accumulate((highest_below >= observed[order] - _ROUNDING).mean(axis=0))
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return p_values, adjusted


def rankings_needed(differences: Floats, *, level: float, power: float = POWER) -> float | None:
    """Return how many examples show a difference as large as the observed mean, two-sided at `level`.

    By the normal approximation with the observed standard deviation (n - 1): ((z(1 - level/2) + z(power)) · sd
    / mean)², rounded up, and at least as many as allow a sign-flip test so small a p-value. None where the mean
    or the deviation is 0, or there is only one example. An observed difference that was picked for being large is
    likely to be larger than the true one, so this is a lower bound.
    """
    from statsmodels.stats.power import normal_sample_size_one_tail  # slow to import

    deviation = float(differences.std(ddof=1)) if differences.size > 1 else 0.0
    mean = abs(float(differences.mean()))
    if deviation < _ROUNDING or mean < _ROUNDING:
        return None
    by_power = normal_sample_size_one_tail(mean, power, level / 2, std_null=deviation)
    return float(math.ceil(max(by_power, 1 - math.log2(level))))
