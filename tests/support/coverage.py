"""How often intervals hold the truth: simulations of samples whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from ilf_kedro.evaluation.agreement import cohens_kappa, krippendorffs_alpha
from ilf_kedro.evaluation.bradley_terry import PairOutcomes, strengths
from ilf_kedro.evaluation.clustering import Judgements, clustered_mean
from ilf_kedro.evaluation.intervals import (
    Bootstrap,
    Estimate,
    clustered_share_estimate,
    mean_estimate,
    mean_share_estimate,
    ratio_estimate,
)
from ilf_kedro.evaluation.prediction_powered import prediction_powered_mean

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


def _judged_by(n_annotators: int, strength: float) -> Draw:
    """Win rates without effect: every annotator judges every input; both have leanings of their own.

    With few annotators these are all that the interval is about, so that they have no leaning then.
    """

    def draw(rng: np.random.Generator, n: int) -> Estimate:
        own = rng.normal(0, 0.8, n)[:, None] + rng.normal(0, strength, n_annotators)[None, :]
        outcomes = np.digitize(own + rng.normal(size=(n, n_annotators)), [-0.3, 0.3]) / 2.0
        inputs = np.repeat(np.arange(n), n_annotators).astype(str).tolist()
        judgements = Judgements.of(inputs, [f"annotator {i}" for i in range(n_annotators)] * n)
        return clustered_mean(outcomes.ravel(), judgements, BOOTSTRAP, share=True).estimate

    return draw


_STRENGTHS = np.array([0.6, 0.0, -0.6])


def _strength(rng: np.random.Generator, n: int) -> Estimate:
    """The first of three arms: rankings by Luce's model, whose pairs are Bradley and Terry's."""
    first, second = np.triu_indices(3, 1)
    utility = _STRENGTHS + rng.gumbel(size=(n, 3))
    outcomes = (utility[:, first] > utility[:, second]).astype(float)
    ids = np.repeat(np.arange(n), 3).astype(str).tolist()
    pairs = PairOutcomes(np.tile(first, n), np.tile(second, n), outcomes.ravel(), Judgements.of(ids, ["x"] * 3 * n))
    return strengths(pairs, 3, confidence=BOOTSTRAP.confidence)[0]


def _predicted(correlation: float) -> Draw:
    """People's outcomes of n inputs, and a judge's predictions of these and of 5 n more."""

    def draw(rng: np.random.Generator, n: int) -> Estimate:
        of_people = rng.normal(size=6 * n)
        of_judge = correlation * of_people + math.sqrt(1 - correlation**2) * rng.normal(size=6 * n)
        labels, predictions = np.digitize(of_people[:n], [-0.5, 0.1]) / 2.0, expit(2 * of_judge + 0.3)
        return prediction_powered_mean(
            labels, predictions[:n], predictions[n:], confidence=BOOTSTRAP.confidence
        ).estimate

    return draw


_OUTCOME = ("loss", "tie", "win")
_OF_PEOPLE = ((1 - norm.cdf(-0.5)) + (1 - norm.cdf(0.1))) / 2
_SAME = 0.6  # how often both raters say what is true of the input; else each guesses


def _raters(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    truth, guess = rng.integers(0, 3, n), rng.integers(0, 3, size=(2, n))
    return np.where(rng.random((2, n)) < math.sqrt(_SAME), truth, guess)


def _kappa(rng: np.random.Generator, n: int) -> Estimate:
    one, other = _raters(rng, n)
    pairs = [(_OUTCOME[a], _OUTCOME[b]) for a, b in zip(one, other, strict=True)]
    return cohens_kappa(pairs, [str(i) for i in range(n)], confidence=BOOTSTRAP.confidence)


def _alpha(rng: np.random.Generator, n: int) -> Estimate:
    ratings = [[[float(a), float(b)]] for a, b in _raters(rng, n).T]
    return krippendorffs_alpha(ratings, confidence=BOOTSTRAP.confidence)


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
    "win rate, 3 judgements of an input, these 3 annotators": (_judged_by(3, 0.0), 0.5),
    "win rate, 6 annotators drawn at random": (_judged_by(6, 0.5), 0.5),
    "win rate, 12 annotators drawn at random": (_judged_by(12, 0.5), 0.5),
    "Bradley–Terry strength of one of three arms": (_strength, 0.6),
    "win rate corrected by a good judge (PPI++)": (_predicted(0.8), _OF_PEOPLE),
    "win rate corrected by a poor judge (PPI++)": (_predicted(0.2), _OF_PEOPLE),
    "Cohen's κ of two raters": (_kappa, _SAME),
    "Krippendorff's α of two raters": (_alpha, _SAME),
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


def false_alarms(n: int, n_simulated: int, *, seed: int = 12) -> float:
    """Return in which share of studies without any effect a contrast of three arms is called clear (Holm, 5 %)."""
    found = 0
    for number in range(n_simulated):
        ranks = np.random.default_rng((seed, n, number)).integers(1, 4, size=(n, 3))
        judgements = Judgements.of([str(i) for i in range(n)], ["x"] * n)
        p_values = []
        for one, other in ((0, 1), (0, 2), (1, 2)):
            outcomes = (np.sign(ranks[:, other] - ranks[:, one]) + 1) / 2
            won = clustered_mean(outcomes.astype(float), judgements, BOOTSTRAP, share=True)
            p_values.append(won.p_value(0.5, seed=number))
        found += 3 * min(p_values) <= 0.05  # Holm finds one exactly where its first step does
    return found / n_simulated
