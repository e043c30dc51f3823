"""Estimates with their uncertainty: means, ratios and shares, always over examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FEWEST",
    "Bootstrap",
    "Estimate",
    "clustered_share_estimate",
    "mean_estimate",
    "mean_share_estimate",
    "ratio_estimate",
    "share_estimate",
    "standard_error_of_mean",
    "wilson_interval",
]

Floats = NDArray[np.float64]

FEWEST = 5
"""How many examples an interval takes at least; a share's holds with any number."""

_ROUNDING = 1e-12
_DIFFERENT = 0.5  # of values, from which share on the bootstrap is drawn
_AT_ONCE = 2_000_000  # values of resamples in memory


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How to bootstrap: equal seeds draw equal examples, so that intervals of several models go together."""

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its standard error and confidence interval, over `n` examples.

    What cannot be estimated is None, and `note` says why: of values that are all alike the spread is unknown,
    not zero.
    """

    value: float
    n: int
    standard_error: float | None = None
    lower: float | None = None
    upper: float | None = None
    note: str | None = None


def standard_error_of_mean(values: ArrayLike) -> float | None:
    """Return the standard error of a mean, with n - 1; None for fewer than two values."""
    sample = np.asarray(values, dtype=np.float64)
    return None if sample.size < 2 else float(sample.std(ddof=1) / np.sqrt(sample.size))


def mean_estimate(
    values: ArrayLike, bootstrap: Bootstrap, *, within: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate:
    """Estimate a mean, with an interval over the values: a studentised bootstrap, or Student's t where values repeat.

    Of values that are mostly different the bootstrap of (estimate − truth) ÷ error is drawn (Efron and Tibshirani 1993,
    12.5), which follows a long tail; of values such as −1, 0 and 1 it is unreliable, and t is used. Both hold at few
    examples, other than the percentile and BCa intervals; below 5 examples there is none. docs/statistics.md has their
    coverage. Where no value can lie outside `within`, such as −1 and 1 of a correlation, no interval does. Give one
    value per example: average several samples of one example first, for they are not independent.

    Raises:
        ValueError: there are no values, or one is not a finite number.
    """
    sample = _finite(values)
    note, error, lower, upper = _bounds(sample, np.ones_like(sample), np.unique(sample).size, bootstrap)
    if lower is not None and upper is not None:
        lower, upper = max(within[0], lower), min(within[1], upper)
    return Estimate(float(sample.mean()), sample.size, error, lower, upper, note)


def ratio_estimate(numerators: ArrayLike, denominators: ArrayLike, bootstrap: Bootstrap) -> Estimate:
    """Estimate a ratio of sums, such as nats per token, with an interval over examples as a mean's.

    The standard error is the linearised one: that of the residuals' mean over the mean denominator.

    Raises:
        ValueError: there are no values, one is not finite, or a denominator is not positive.
    """
    above, below = _finite(numerators), _finite(denominators)
    if above.shape != below.shape or (below <= 0).any():
        raise ValueError("a ratio needs as many numerators as denominators, all denominators positive")
    note, error, lower, upper = _bounds(above, below, np.unique(above / below).size, bootstrap)
    return Estimate(float(above.sum() / below.sum()), above.size, error, lower, upper, note)


def mean_share_estimate(values: ArrayLike, bootstrap: Bootstrap) -> Estimate:
    """Estimate a mean of outcomes between 0 and 1, such as a win rate with ties.

    Where every outcome is 0 or 1 it is a share, with Wilson's interval; else a mean like any other, within 0 and 1.

    Raises:
        ValueError: there are no values, or one is not between 0 and 1.
    """
    sample = _finite(values)
    if sample.min() < 0 or sample.max() > 1:
        raise ValueError(f"a share is between 0 and 1, found {sample.min():g} to {sample.max():g}")
    if np.isin(sample, (0.0, 1.0)).all():
        return share_estimate(int(sample.sum()), sample.size, confidence=bootstrap.confidence)
    return mean_estimate(sample, bootstrap, within=(0.0, 1.0))


def share_estimate(successes: int, n: int, *, confidence: float) -> Estimate:
    """Estimate a share of independent trials, with a Wilson interval.

    Raises:
        ValueError: n is not positive, or successes is not within 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a share needs 0 <= successes <= n and n >= 1, found {successes} of {n}")
    share = successes / n
    lower, upper = wilson_interval(share, n, 1 - confidence)
    error = float(np.sqrt(share * (1 - share) / n)) if 0 < successes < n else None
    return Estimate(share, n, error, lower, upper, None if error else f"all {n} alike: the error is unknown, not 0")


def clustered_share_estimate(successes: Sequence[bool], clusters: Sequence[str], *, confidence: float) -> Estimate:
    """Estimate a share of trials that come in clusters, with a Wilson interval on the effective number.

    Trials on one input are not independent. The number of trials is divided by the design effect (Kish 1965),
    the variance between clusters over that of independent trials, taken as at least 1. Where it cannot be
    estimated (one cluster, or every trial alike) the clusters count instead of the trials.

    Raises:
        ValueError: there are no trials, or not one cluster per trial.
    """
    trials = _finite(np.asarray(successes, dtype=np.float64))
    if len(clusters) != trials.size:
        raise ValueError(f"expected one cluster per trial, found {len(clusters)} for {trials.size}")
    _, cluster_of = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    n_clusters = int(cluster_of.max()) + 1
    share, n = float(trials.mean()), trials.size
    independent = share * (1 - share) / n
    if n_clusters == 1 or independent == 0:
        effective = float(n_clusters)
        error = None
    else:
        residuals = np.bincount(cluster_of, weights=trials - share)
        between = n_clusters / (n_clusters - 1) * float(residuals @ residuals) / n**2
        effective = n / max(1.0, between / independent)
        error = float(np.sqrt(max(between, independent)))
    # With few clusters the design effect is itself uncertain: Student's t of them in place of the normal distribution.
    alpha = 1 - confidence
    if error is not None:
        alpha = float(2 * scipy.stats.norm.sf(scipy.stats.t.isf(alpha / 2, n_clusters - 1)))
    lower, upper = wilson_interval(share, effective, alpha)
    return Estimate(share, n, error, lower, upper, f"counts as {effective:.1f} independent trials")


def _finite(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError("an estimate needs at least one value, and finite ones only")
    return sample


def wilson_interval(share: float, n: float, alpha: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of `n` trials, which need not be whole, at the level 1 − alpha."""
    from statsmodels.stats.proportion import proportion_confint  # slow to import

    lower, upper = proportion_confint(share * n, n, alpha=alpha, method="wilson")
    return float(lower), float(upper)


def _bounds(
    numerators: Floats, denominators: Floats, n_different: int, bootstrap: Bootstrap
) -> tuple[str | None, float | None, float | None, float | None]:
    """Return a note, the standard error, and the ends of the interval of a ratio of sums (of a mean: over ones)."""
    n = numerators.size
    ratio = float(numerators.sum() / denominators.sum())
    error = float(_errors(numerators[None], denominators[None])[0]) if n > 1 else 0.0
    if error <= _ROUNDING * max(1.0, abs(ratio)):
        return ("one example: no interval" if n == 1 else f"all {n} alike: no interval"), None, None, None
    if n < FEWEST:
        return f"too few for an interval: {n} examples, and it takes {FEWEST}", error, None, None
    student = scipy.stats.t.ppf((1 + np.array([bootstrap.confidence, -bootstrap.confidence])) / 2, n - 1)
    reach = student
    if n_different >= _DIFFERENT * n:
        drawn = _studentised(numerators, denominators, ratio, bootstrap)
        reach = drawn if np.isfinite(drawn).all() else student
    return None, error, ratio - float(reach[0]) * error, ratio - float(reach[1]) * error


def _studentised(numerators: Floats, denominators: Floats, ratio: float, bootstrap: Bootstrap) -> Floats:
    """Return the upper and the lower quantile of (estimate − truth) ÷ error, as resampling finds them."""
    n = numerators.size
    rng = np.random.default_rng(bootstrap.seed)
    found = []
    for start in range(0, bootstrap.resamples, step := max(1, _AT_ONCE // n)):
        drawn = rng.integers(0, n, size=(min(step, bootstrap.resamples - start), n))
        above, below = numerators[drawn], denominators[drawn]
        shifts = above.sum(axis=1) / below.sum(axis=1) - ratio
        errors = _errors(above, below)
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(np.where(errors > 0, shifts / errors, np.sign(shifts) * np.inf))
    statistics = np.concatenate(found)
    tails = (1 + np.array([bootstrap.confidence, -bootstrap.confidence])) / 2
    return np.asarray(np.quantile(statistics[~np.isnan(statistics)], tails, method="nearest"))


def _errors(above: Floats, below: Floats) -> Floats:
    """Return the standard error of each row's ratio of sums: that of the residuals' mean over the mean denominator."""
    ratios = above.sum(axis=1, keepdims=True) / below.sum(axis=1, keepdims=True)
    residuals = above - ratios * below
    return np.asarray(residuals.std(axis=1, ddof=1) / np.sqrt(above.shape[1]) / below.mean(axis=1))
