"""Prediction-powered inference: a few labels by people, and a model's predictions of all (PPI++)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ilf_kedro.evaluation.intervals import FEWEST, Estimate

__all__ = ["PredictionPowered", "prediction_powered_mean"]

Floats = NDArray[np.float64]

_COEFFICIENTS = 2  # a mean and a weight are taken from the labels


@dataclass(frozen=True, slots=True)
class PredictionPowered:
    """The estimated mean of the labels, and the weight, 0 to 1, that the predictions got."""

    estimate: Estimate
    weight: float


def prediction_powered_mean(
    labels: Floats,
    predictions: Floats,
    unlabelled: Floats,
    *,
    confidence: float,
    within: tuple[float, float] = (0.0, 1.0),
) -> PredictionPowered:
    """Estimate the mean of labels from `labels`, their `predictions`, and the predictions of what has no label.

    After Angelopoulos, Duchi and Zrnic 2023 (arXiv 2311.01453): the mean label, plus a weight λ times the difference of
    the mean predictions; λ = cov(label, prediction) / ((1 + n/N) var(prediction)), within 0 and 1, makes the variance
    smallest. So predictions that say nothing get no weight, and wrong ones make no bias, where the labelled inputs are
    a random sample of all. The variance is that of label − λ · prediction over n, plus λ² times that of the predictions
    over N; with n − 2 degrees of freedom, for λ is estimated too, intervals hold at small n (docs/statistics.md). None
    below 5 labels. No interval reaches beyond `within`.

    Raises:
        ValueError: there are no labels, or not one prediction for each.
    """
    n, more = labels.size, unlabelled.size
    if n == 0 or predictions.size != n:
        raise ValueError(f"expected labels with a prediction each, found {n} and {predictions.size}")
    weight = _weight(labels, predictions, more)
    value = float(labels.mean() + weight * (unlabelled.mean() - predictions.mean())) if weight else float(labels.mean())
    if n < FEWEST:
        return PredictionPowered(Estimate(value, n, note=f"too few for an interval: {n} labels"), weight)
    residuals = labels - weight * predictions
    variance = float(residuals.var(ddof=_COEFFICIENTS)) / n
    if weight and more > 1:
        variance += weight**2 * float(unlabelled.var(ddof=1)) / more
    if variance <= 0:
        return PredictionPowered(Estimate(value, n, note=f"all {n} labels alike: no interval"), weight)
    error = float(np.sqrt(variance))
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, n - _COEFFICIENTS)) * error
    lower, upper = max(within[0], value - reach), min(within[1], value + reach)
    return PredictionPowered(Estimate(value, n, error, lower, upper), weight)


def _weight(labels: Floats, predictions: Floats, n_unlabelled: int) -> float:
    spread = float(predictions.var(ddof=1)) if predictions.size > 1 else 0.0
    if spread == 0 or n_unlabelled == 0:
        return 0.0
    together = float(np.cov(labels, predictions)[0, 1])
    return float(np.clip(together / ((1 + labels.size / n_unlabelled) * spread), 0.0, 1.0))
