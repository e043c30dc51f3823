"""How much data could show: the smallest difference that these would, and how many more a finer answer takes."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import scipy
from numpy.typing import NDArray

from ilf_kedro.evaluation.intervals import FEWEST, Estimate

__all__ = ["POWER", "any_time_interval", "n_for_half_width", "smallest_difference"]

Floats = NDArray[np.float64]

POWER = 0.8
_TRIED = np.linspace(0.0, 1.0, 501)  # means that a confidence sequence is asked about
_LARGEST_BET = 0.5


def smallest_difference(estimate: Estimate, *, level: float, power: float = POWER) -> float | None:
    """Return the smallest true difference that a two-sided t-test at `level` shows with `power`, at this n and spread.

    None without a standard error, and below 5 examples.
    """
    if not estimate.standard_error or estimate.n < FEWEST:
        return None
    return _standardised(estimate.n, level, power) * estimate.standard_error * math.sqrt(estimate.n)


def n_for_half_width(estimate: Estimate, half_width: float, *, confidence: float) -> int | None:
    """Return how many examples narrow the interval to ± `half_width`, if their spread is that of these.

    By the normal approximation, which is Student's t at the numbers that it finds; None without a standard error.
    """
    if not estimate.standard_error:
        return None
    z = float(scipy.stats.norm.ppf((1 + confidence) / 2))
    return math.ceil((z * estimate.standard_error * math.sqrt(estimate.n) / half_width) ** 2)


def any_time_interval(outcomes: Floats, *, confidence: float) -> tuple[float, float] | None:
    """Return an interval of the mean of outcomes within 0 and 1 that holds however often one looked on the way.

    The hedged capital confidence sequence of Waudby-Smith and Ramdas (2024, section 4.4): for each possible mean two
    gamblers bet on the outcomes, in their order, one that it is too low and one that it is too high; a mean is left out
    once either has made 2 / (1 − confidence) of a stake of 1, and stays out. None without outcomes.
    """
    if outcomes.size == 0:
        return None
    bets = _bets(outcomes, 1 - confidence)
    with np.errstate(divide="ignore"):
        up = np.minimum(bets[:, None], _LARGEST_BET / np.maximum(_TRIED, 1e-12))
        down = np.minimum(bets[:, None], _LARGEST_BET / np.maximum(1 - _TRIED, 1e-12))
    gains = outcomes[:, None] - _TRIED
    wealth = np.maximum(np.cumsum(np.log1p(up * gains), axis=0), np.cumsum(np.log1p(-down * gains), axis=0))
    left = np.flatnonzero(wealth.max(axis=0) < math.log(2 / (1 - confidence)))
    if left.size == 0:
        return None
    # One step outwards, for what lies between two of the means tried was not asked about.
    return float(_TRIED[max(0, left[0] - 1)]), float(_TRIED[min(_TRIED.size - 1, left[-1] + 1)])


def _bets(outcomes: Floats, alpha: float) -> Floats:
    """Return each round's bet, from the outcomes before it alone: sqrt(2 log(2/α) / (variance · t · log(1 + t)))."""
    rounds = np.arange(1, outcomes.size + 1)
    means = (0.5 + np.cumsum(outcomes)) / (rounds + 1)
    variances = (0.25 + np.cumsum((outcomes - means) ** 2)) / (rounds + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.asarray(np.sqrt(2 * math.log(2 / alpha) / (before * rounds * np.log1p(rounds))))


@cache
def _standardised(n: int, level: float, power: float) -> float:
    from statsmodels.stats.power import TTestPower  # slow to import

    return float(TTestPower().solve_power(nobs=n, alpha=level, power=power, alternative="two-sided"))
