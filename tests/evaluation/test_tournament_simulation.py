"""Many simulated tournaments with a known truth: do the intervals cover it, and is the recommendation right?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ilf_kedro.evaluation import rank_statistics
from ilf_kedro.evaluation.contests import sign_flip_tests
from ilf_kedro.evaluation.intervals import Bootstrap, mean_estimate
from ilf_kedro.evaluation.recommendation import recommend
from ilf_kedro.schemas import ScorerContests

pytestmark = pytest.mark.slow

N, K, SIMULATIONS = 60, 5, 500
STRENGTHS = np.array([0.0, 0.5, 1.0])  # of the signal in each scorer; the noise has a variance of 1


def simulate(n: int, strengths: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Return win rates over random and pairwise accuracies of n examples, both of shape (n, S)."""
    quality = rng.normal(size=(n, 1, K))
    scores = strengths[:, None] * quality + rng.normal(size=(n, len(strengths), K))
    ranks = (-quality[:, 0]).argsort(axis=1).argsort(axis=1) + 1.0
    pairs = list(zip(scores, ranks, strict=True))
    return (
        np.array([rank_statistics.expected_wins(*pair) for pair in pairs]),
        np.array([rank_statistics.pairwise_accuracies(*pair) for pair in pairs]),
    )


@pytest.fixture(scope="module")
def truth() -> tuple[NDArray, NDArray]:
    wins, accuracies = simulate(20_000, STRENGTHS, np.random.default_rng(99))
    return wins.mean(axis=0), accuracies.mean(axis=0)


@pytest.fixture(scope="module")
def tournaments() -> list[tuple[NDArray, NDArray]]:
    rng = np.random.default_rng(7)
    return [simulate(N, STRENGTHS, rng) for _ in range(SIMULATIONS)]


@pytest.mark.parametrize("figure", ["win_rate", "accuracy", "difference"])
def test_intervals_cover_the_truth_at_95_percent(
    figure: str, truth: tuple[NDArray, NDArray], tournaments: list[tuple[NDArray, NDArray]]
) -> None:
    """500 tournaments of 60 examples, in which the third scorer is the best."""
    covered = []
    for seed, (wins, accuracies) in enumerate(tournaments):
        values, true = {
            "win_rate": (wins[:, 2], truth[0][2]),
            "accuracy": (accuracies[:, 2], truth[1][2]),
            "difference": (wins[:, 2] - wins[:, 1], truth[0][2] - truth[0][1]),
        }[figure]
        estimate = mean_estimate(values, Bootstrap(confidence=0.95, resamples=1000, seed=seed))
        assert estimate.lower is not None
        assert estimate.upper is not None
        covered.append(estimate.lower <= true <= estimate.upper)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def contests_of(values: NDArray, names: list[str], seed: int) -> pd.DataFrame:
    """The table of contests, without the intervals that a recommendation does not use."""
    order = np.argsort(-values.mean(axis=0), kind="stable")
    first, second = np.triu_indices(len(names), 1)
    ranked = values[:, order]
    p_values, adjusted = sign_flip_tests(ranked, first, second, seed=seed)
    differences = (ranked[:, first] - ranked[:, second]).mean(axis=0)
    return ScorerContests.validate(
        pd.DataFrame(
            {
                "scorer": [names[order[place]] for place in first],
                "other": [names[order[place]] for place in second],
                "n": len(values),
                "difference": differences,
                "standard_error": None,
                "lower": None,
                "upper": None,
                "p_value": p_values,
                "adjusted_p": adjusted,
                "rankings_needed": None,
            }
        )
    )


def with_exact_random(wins: NDArray) -> NDArray:
    return np.column_stack([np.full(len(wins), 0.5), wins])


def test_equal_scorers_are_told_apart_in_at_most_5_percent() -> None:
    """Seven scorers without any signal, random among them: whoever leads, no contest may be called won."""
    rng = np.random.default_rng(11)
    names = ["random", "longest", "a", "b", "c", "d", "e"]
    false = {"any": 0, "recommended": 0}
    for seed in range(SIMULATIONS):
        wins = simulate(12, np.zeros(6), rng)[0]
        table = contests_of(with_exact_random(wins), names, seed)
        false["any"] += bool((table["adjusted_p"] <= 0.05).any())
        false["recommended"] += recommend(table, confidence=0.95).verdict != "undecided"
    # Two standard errors of a share of 0.05 in 500 are 0.02.
    assert false["any"] / SIMULATIONS <= 0.05 + 0.02
    assert false["recommended"] / SIMULATIONS <= 0.05


def test_a_clear_winner_is_recommended_and_nobody_else_ever_is() -> None:
    rng = np.random.default_rng(13)
    names = ["random", "longest", "weak", "strong"]
    leaders = []
    for seed in range(100):
        wins = simulate(80, np.array([0.0, 0.3, 1.5]), rng)[0]
        found = recommend(contests_of(with_exact_random(wins), names, seed), confidence=0.95)
        leaders.append(found.leader if found.verdict == "best" else None)
    assert leaders.count("strong") >= 95
    assert set(leaders) <= {"strong", None}


def test_a_scorer_equal_to_the_longest_is_rarely_preferred_to_it() -> None:
    """Both are truly good and truly equal: the recommendation may name the leader, never as better than the other."""
    rng = np.random.default_rng(17)
    names = ["random", "longest", "a"]
    wrong = 0
    for seed in range(SIMULATIONS):
        wins = simulate(12, np.array([2.0, 2.0]), rng)[0]
        found = recommend(contests_of(with_exact_random(wins), names, seed), confidence=0.95)
        wrong += found.verdict == "best"
    assert wrong / SIMULATIONS <= 0.05 + 0.02
