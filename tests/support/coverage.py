"""How often intervals hold the truth: simulations of samples whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.evaluation.intervals import (
    Bootstrap,
    Estimate,
    clustered_share_estimate,
    mean_estimate,
    mean_share_estimate,
    ratio_estimate,
)

SIZES = (5, 8, 12, 50, 200)
BOOTSTRAP = Bootstrap(confidence=0.95, resamples=999, seed=3)
_PER_CLUSTER = 6
_RHO = 0.3

Draw = Callable[[np.random.Generator, int], Estimate]


@dataclass(frozen=True)
class Coverage:
    """How often a 95 % interval held the truth, and how often there was none, of `n_simulated` samples of n values."""

    case: str
    n: int
    n_simulated: int
    held: float
    none: float


def _mean_of(values: Callable[[np.random.Generator, int], NDArray[np.float64]]) -> Draw:
    return lambda rng, n: mean_estimate(values(rng, n), BOOTSTRAP)


def _share_of(probability: float) -> Draw:
    return lambda rng, n: mean_share_estimate((rng.random(n) < probability).astype(float), BOOTSTRAP)


def _clusters_of(probability: float) -> Draw:
    """Shares of trials in n clusters, whose probabilities differ so that two of a cluster correlate with 0.3."""

    def draw(rng: np.random.Generator, n: int) -> Estimate:
        strength = (1 - _RHO) / _RHO
        own = rng.beta(probability * strength, (1 - probability) * strength, size=n)
        trials = rng.random((n, _PER_CLUSTER)) < own[:, None]
        clusters = np.repeat(np.arange(n), _PER_CLUSTER).astype(str)
        return clustered_share_estimate(trials.ravel().tolist(), clusters.tolist(), confidence=BOOTSTRAP.confidence)

    return draw


def _nats_per_token(rng: np.random.Generator, n: int) -> Estimate:
    tokens = rng.integers(5, 60, size=n).astype(float)
    return ratio_estimate(rng.normal(2.5, 0.5, size=n) * tokens, tokens, BOOTSTRAP)


CASES: dict[str, tuple[Draw, float]] = {
    "mean, normal": (_mean_of(lambda rng, n: rng.normal(size=n)), 0.0),
    "mean, skewed (exponential)": (_mean_of(lambda rng, n: rng.exponential(size=n)), 1.0),
    "mean, very skewed (log-normal)": (_mean_of(lambda rng, n: rng.lognormal(0, 1, n)), math.exp(0.5)),
    "paired difference of normals": (_mean_of(lambda rng, n: rng.normal(0.3, 1, n) - rng.normal(0, 1, n)), 0.3),
    "difference of −1, 0, 1": (_mean_of(lambda rng, n: rng.choice([-1.0, 0, 1], n, p=[0.3, 0.3, 0.4])), 0.1),
    "win rate, half of it ties": (
        lambda rng, n: mean_share_estimate(rng.choice([0, 0.5, 1], n, p=[0.2, 0.5, 0.3]), BOOTSTRAP),
        0.55,
    ),
    "share near ½": (_share_of(0.5), 0.5),
    "share near 0.95": (_share_of(0.95), 0.95),
    "share in clusters, ρ = 0.3, near ½": (_clusters_of(0.5), 0.5),
    "share in clusters, ρ = 0.3, near 0.8": (_clusters_of(0.8), 0.8),
    "nats per token": (_nats_per_token, 2.5),
}


def simulate(n_simulated: int, *, seed: int = 11) -> Iterator[Coverage]:
    """Simulate every case at every size."""
    for number, (case, (draw, truth)) in enumerate(CASES.items()):
        for n in SIZES:
            rng = np.random.default_rng((seed, number, n))
            estimates = [draw(rng, n) for _ in range(n_simulated)]
            bounds = [(each.lower, each.upper) for each in estimates if each.lower is not None]
            held = sum(lower - 1e-12 <= truth <= upper + 1e-12 for lower, upper in bounds)
            yield Coverage(case, n, n_simulated, held / len(bounds), 1 - len(bounds) / n_simulated)
