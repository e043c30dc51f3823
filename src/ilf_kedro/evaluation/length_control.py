"""Comparisons at equal length: what is left of a preference once the longer text's advantage is taken out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ilf_kedro.evaluation.intervals import Estimate

__all__ = ["Comparisons", "length_controlled_share"]

Floats = NDArray[np.float64]

_FEWEST_EXAMPLES = 4


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Preferred texts against others, all of shape (R,).

    `outcomes` is 1 where the preferred one is the better ranked, ½ at a tie, else 0; `differences` its length less
    the other's; `weights` how much a row counts; `examples` numbers the example that it belongs to.
    """

    outcomes: Floats
    differences: Floats
    weights: Floats
    examples: NDArray[np.int64]


def length_controlled_share(comparisons: Comparisons, *, confidence: float) -> Estimate:
    """Estimate how often the preferred text would be the better one, were both of equal length.

    A logistic model, logit P(outcome) = a + b · difference, is fitted to the rows with their weights; the
    estimate is its prediction at difference 0, after Dubois et al. 2024 (arXiv 2404.04475). Its interval is
    Wald's on the logit scale, from a covariance that counts the rows of one example as dependent (CR1), with
    Student's t of (examples - 1) degrees of freedom. The standard error is of the share, by the delta method.

    Where outcomes are separated by length the likelihood has no maximum: each coefficient then gets one
    pseudo-row with outcome ½ (the log-F(1, 1) prior of Greenland and Mansournia 2015), and there is no interval.
    What cannot be estimated at all is nan, and the note says why.
    """
    rows = comparisons.weights > 0
    outcomes, weights = comparisons.outcomes[rows], comparisons.weights[rows]
    examples = np.unique(comparisons.examples[rows], return_inverse=True)[1]
    differences = comparisons.differences[rows].astype(np.float64)
    n = int(examples.max()) + 1 if examples.size else 0
    if n < _FEWEST_EXAMPLES:
        return Estimate(np.nan, n, note=f"too few examples: {n}")
    if np.ptp(differences) == 0 and differences[0] != 0:
        return Estimate(np.nan, n, note="the length difference is the same throughout")
    if np.ptp(outcomes) == 0 and 0 < outcomes[0] < 1:
        return Estimate(float(outcomes[0]), n, note=f"all {outcomes.size} alike: no interval")
    spread = float(np.sqrt(np.average(differences**2, weights=weights))) or 1.0
    x = differences / spread
    note = None
    if x.max() < 0 or x.min() > 0:
        note = f"extrapolated: the preferred text is {'longer' if x.min() > 0 else 'shorter'} throughout"
    design = np.column_stack([np.ones_like(x), x])[:, : 1 if np.ptp(x) == 0 else 2]
    if _is_separated(outcomes, x):
        return _shrunken(outcomes, design, weights, n)
    parameters = _fit(outcomes, design, weights)
    error = float(np.sqrt(_clustered_covariance(parameters, outcomes, design, weights, examples)[0, 0]))
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    share, lower, upper = scipy.special.expit(parameters[0] + np.array([0.0, -reach, reach]))
    return Estimate(float(share), n, float(share * (1 - share) * error), float(lower), float(upper), note)


def _is_separated(outcomes: Floats, x: Floats) -> bool:
    """Tell whether a threshold of x parts the wins from the losses (a tie is both), so that no maximum exists."""
    won, lost = x[outcomes > 0], x[outcomes < 1]
    if won.size == 0 or lost.size == 0:
        return True
    if np.ptp(x) == 0:
        return False
    return bool(lost.max() <= won.min() or won.max() <= lost.min())


def _shrunken(outcomes: Floats, design: Floats, weights: Floats, n: int) -> Estimate:
    coefficients = design.shape[1]
    parameters = _fit(
        np.append(outcomes, np.full(coefficients, 0.5)),
        np.vstack([design, np.eye(coefficients)]),
        np.append(weights, np.ones(coefficients)),
    )
    note = "length and outcome are separated: a shrunken estimate without an interval"
    return Estimate(float(scipy.special.expit(parameters[0])), n, note=note)


def _fit(outcomes: Floats, design: Floats, weights: Floats) -> Floats:
    import statsmodels.api as sm  # slow to import

    with warnings.catch_warnings():
        # Outcomes of ½ and weights that are no counts are meant; statsmodels warns of both.
        warnings.simplefilter("ignore")
        model = sm.GLM(outcomes, design, family=sm.families.Binomial(), freq_weights=weights)
        return np.asarray(model.fit(tol=1e-10).params, dtype=np.float64)


def _clustered_covariance(
    parameters: Floats, outcomes: Floats, design: Floats, weights: Floats, examples: NDArray[np.int64]
) -> Floats:
    """Return the sandwich covariance with one cluster per example, times G/(G - 1)."""
    fitted = scipy.special.expit(design @ parameters)
    bread = np.linalg.inv(design.T @ (design * (weights * fitted * (1 - fitted))[:, None]))
    scores = design * (weights * (outcomes - fitted))[:, None]
    n = int(examples.max()) + 1
    summed = np.zeros((n, design.shape[1]))
    np.add.at(summed, examples, scores)
    return np.asarray(n / (n - 1) * bread @ (summed.T @ summed) @ bread)
