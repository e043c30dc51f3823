"""Strengths of several arms from comparisons of two at a time (Bradley and Terry 1952), with errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ilf_kedro.evaluation.clustering import Judgements, clustered_errors
from ilf_kedro.evaluation.intervals import FEWEST, Estimate

__all__ = ["PairOutcomes", "strengths"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PSEUDO = 0.5  # of a comparison between every two arms, where the likelihood has no maximum


@dataclass(frozen=True, slots=True)
class PairOutcomes:
    """Comparisons: the numbers of two arms, 1 where the first is better, ½ at a tie, else 0, and whose they are."""

    first: Integers
    second: Integers
    outcomes: Floats
    judgements: Judgements


def strengths(pairs: PairOutcomes, n_arms: int, *, confidence: float) -> list[Estimate]:
    """Estimate each arm's strength: P(a beats b) = 1 / (1 + exp(strength of b − strength of a)), their mean 0.

    Comparisons weigh 1 per input and pair of arms, and a tie is half a win each. Intervals are Wald's, from errors
    clustered by input and annotator, with Student's t. Where some arms never lost to the others the likelihood has no
    maximum (Ford 1957): every two arms that were compared then get half a tied comparison, and there is no interval.
    Arms that no chain of comparisons connects have no strengths on one scale: nan.
    """
    weights = _weights(pairs, n_arms)
    n = int(pairs.judgements.inputs.max()) + 1 if pairs.first.size else 0
    wins = np.zeros((n_arms, n_arms))
    np.add.at(wins, (pairs.first, pairs.second), weights * pairs.outcomes)
    np.add.at(wins, (pairs.second, pairs.first), weights * (1 - pairs.outcomes))
    if scipy.sparse.csgraph.connected_components(wins + wins.T, directed=False)[0] > 1:
        return [Estimate(np.nan, n, note="not all arms are connected by comparisons")] * n_arms
    if scipy.sparse.csgraph.connected_components(wins, connection="strong")[0] > 1:
        fitted = _fit(wins + _PSEUDO * ((wins + wins.T) > 0))
        note = "some arms never lost to the others: a shrunken estimate without an interval"
        return [Estimate(float(value), n, note=note) for value in fitted]
    fitted = _fit(wins)
    if n < FEWEST or np.ptp(pairs.outcomes) == 0:
        alike = f"all {pairs.outcomes.size} comparisons alike: no interval"
        note = f"too few for an interval: {n} examples, and it takes {FEWEST}" if n < FEWEST else alike
        return [Estimate(float(value), n, note=note) for value in fitted]
    errors, degrees = clustered_errors(_influences(pairs, weights, fitted), pairs.judgements.groupings)
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, degrees))
    return [
        Estimate(float(value), n, float(error), float(value - reach * error), float(value + reach * error))
        for value, error in zip(fitted, errors, strict=True)
    ]


def _weights(pairs: PairOutcomes, n_arms: int) -> Floats:
    """Return each comparison's weight: 1 over how often its two arms were compared on its input."""
    ends = np.sort(np.column_stack([pairs.first, pairs.second]), axis=1)
    key = (pairs.judgements.inputs * n_arms + ends[:, 0]) * n_arms + ends[:, 1]
    _, place, counts = np.unique(key, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[place.ravel()])


def _design(first: Sequence[int] | Integers, second: Sequence[int] | Integers, n_arms: int) -> Floats:
    """Return a row per comparison: 1 for the first arm, −1 for the second."""
    identity = np.eye(n_arms)
    return np.asarray(identity[first] - identity[second])


def _fit(wins: Floats) -> Floats:
    """Return the strengths of greatest likelihood: a logistic model of all comparisons, the last arm's strength 0."""
    import statsmodels.api as sm  # slow to import

    n_arms = len(wins)
    first, second = np.triu_indices(n_arms, 1)
    counts = wins[first, second] + wins[second, first]
    used = counts > 0
    first, second, counts = first[used], second[used], counts[used]
    won, lost = wins[first, second], wins[second, first]
    # A row for the wins and one for the losses of each pair, for shares of fractional counts are no binomial outcome.
    outcomes = np.concatenate([np.ones_like(won), np.zeros_like(lost)])
    design = np.tile(_design(first, second, n_arms)[:, :-1], (2, 1))
    weights = np.concatenate([won, lost])
    positive = weights > 0
    model = sm.GLM(outcomes[positive], design[positive], family=sm.families.Binomial(), freq_weights=weights[positive])
    fitted = np.append(np.asarray(model.fit(tol=1e-12, maxiter=200).params, dtype=np.float64), 0.0)
    return np.asarray(fitted - fitted.mean())


def _influences(pairs: PairOutcomes, weights: Floats, fitted: Floats) -> Floats:
    """Return what each comparison adds to each strength, to first order: the score times the inverse information."""
    design = _design(pairs.first, pairs.second, fitted.size)
    expected = scipy.special.expit(design @ fitted)
    information = design.T @ (design * (weights * expected * (1 - expected))[:, None])
    # The information knows differences alone; its pseudo-inverse keeps the mean of the strengths at 0.
    return np.asarray((design * (weights * (pairs.outcomes - expected))[:, None]) @ np.linalg.pinv(information))
