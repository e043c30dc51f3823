"""Estimates with their uncertainty: means, ratios and shares, always over examples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

__all__ = [
    "Bootstrap",
    "Estimate",
    "clustered_share_estimate",
    "mean_estimate",
    "ratio_estimate",
    "share_estimate",
    "standard_error_of_mean",
]

Floats = NDArray[np.float64]

_ROUNDING = 1e-12


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


def mean_estimate(values: ArrayLike, bootstrap: Bootstrap) -> Estimate:
    """Estimate a mean, with a BCa bootstrap interval (Efron 1987) over the values.

    One value per example: average several samples of one example first, for they are not independent.

    Raises:
        ValueError: there are no values, or one is not a finite number.
    """
    sample = _finite(values)
    note, bounds = _interval((sample,), _mean, bootstrap)
    error = None if bounds[0] is None else standard_error_of_mean(sample)
    return Estimate(float(sample.mean()), sample.size, error, *bounds, note)


def ratio_estimate(numerators: ArrayLike, denominators: ArrayLike, bootstrap: Bootstrap) -> Estimate:
    """Estimate a ratio of sums, such as nats per token, with a BCa bootstrap interval over examples.

    The standard error is the linearised one: that of the residuals' mean over the mean denominator.

    Raises:
        ValueError: there are no values, one is not finite, or a denominator is not positive.
    """
    above, below = _finite(numerators), _finite(denominators)
    if above.shape != below.shape or (below <= 0).any():
        raise ValueError("a ratio needs as many numerators as denominators, all denominators positive")
    ratio = float(above.sum() / below.sum())
    note, bounds = _interval((above, below), _ratio, bootstrap)
    residual_error = standard_error_of_mean(above - ratio * below)
    error = None if residual_error is None or bounds[0] is None else residual_error / float(below.mean())
    return Estimate(ratio, above.size, error, *bounds, note)


def share_estimate(successes: int, n: int, *, confidence: float) -> Estimate:
    """Estimate a share of independent trials, with a Wilson interval.

    Raises:
        ValueError: n is not positive, or successes is not within 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a share needs 0 <= successes <= n and n >= 1, found {successes} of {n}")
    share = successes / n
    lower, upper = _wilson(share, n, confidence)
    return Estimate(share, n, float(np.sqrt(share * (1 - share) / n)), lower, upper)


def clustered_share_estimate(successes: Sequence[bool], clusters: Sequence[str], *, confidence: float) -> Estimate:
    """Estimate a share of trials that come in clusters, with a Wilson interval on the effective number.

    Trials on one post are not independent. The number of trials is divided by the design effect (Kish 1965),
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
    lower, upper = _wilson(share, effective, confidence)
    return Estimate(share, n, error, lower, upper, f"counts as {effective:.1f} independent trials")


def _finite(values: ArrayLike) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError("an estimate needs at least one value, and finite ones only")
    return sample


def _wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    lower, upper = proportion_confint(share * n, n, alpha=1 - confidence, method="wilson")
    return float(lower), float(upper)


def _mean(values: Floats, axis: int = -1) -> Floats:
    return np.asarray(values.mean(axis=axis))


def _ratio(above: Floats, below: Floats, axis: int = -1) -> Floats:
    return np.asarray(above.sum(axis=axis) / below.sum(axis=axis))


def _interval(
    data: tuple[Floats, ...], statistic: Callable[..., Floats], bootstrap: Bootstrap
) -> tuple[str | None, tuple[float | None, float | None]]:
    """Return a note and the interval's ends; where BCa is not defined, the percentile interval or none."""
    if data[0].size < 2:
        return "one example: no interval", (None, None)
    note = None
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            # A degenerate sample is what the note reports; the warnings would only repeat it.
            warnings.simplefilter("ignore")
            interval = stats.bootstrap(
                data,
                statistic,
                paired=True,
                vectorized=True,
                method=method,
                n_resamples=bootstrap.resamples,
                batch=max(1, 2_000_000 // data[0].size),
                confidence_level=bootstrap.confidence,
                rng=np.random.default_rng(bootstrap.seed),
            ).confidence_interval
        lower, upper = float(interval.low), float(interval.high)
        if np.isfinite([lower, upper]).all() and upper - lower > _ROUNDING * max(1.0, abs(upper)):
            return note, (lower, upper)
        note = "BCa is not defined for this sample: percentile interval"
    return f"all {data[0].size} alike: no interval", (None, None)
