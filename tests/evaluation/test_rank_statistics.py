"""Agreement of scores with a ranking, against brute force over choices and pairs."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ilf_kedro.evaluation import rank_statistics

CASES = json.loads((Path(__file__).parents[1] / "reference" / "method_cases.json").read_text("utf-8"))["win_rates"]
NAN = float("nan")


@st.composite
def scored_rankings(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    """Few different values, so that ties in scores and in ranks are common; some scores are undefined."""
    n = draw(st.integers(2, 6))
    scores = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, NAN]), min_size=n, max_size=n))
    return scores, draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))


def worth(score: float) -> float:
    return -np.inf if np.isnan(score) else score


def outcome(rank: int, other: int) -> float:
    return 1.0 if rank < other else 0.5 if rank == other else 0.0


def naive_wins(scores: list[float], ranks: list[int]) -> float:
    best = max(map(worth, scores))
    chosen = [i for i, score in enumerate(scores) if worth(score) == best]
    return float(np.mean([np.mean([outcome(ranks[i], other) for other in ranks]) for i in chosen]))


def naive_accuracy(scores: list[float], ranks: list[int]) -> float:
    right = []
    for i, j in combinations(range(len(ranks)), 2):
        better, worse = (i, j) if ranks[i] < ranks[j] else (j, i)
        if ranks[i] != ranks[j]:
            high, low = worth(scores[better]), worth(scores[worse])
            right.append(1.0 if high > low else 0.5 if high == low else 0.0)
    return float(np.mean(right)) if right else NAN


def naive_tau(scores: list[float], ranks: list[int]) -> float:
    """Kendall's τ-b from its definition: (concordant − discordant) / √(pairs untied in each)."""
    pairs = list(combinations(range(len(ranks)), 2))
    in_scores = [np.sign(rank_difference(worth(scores[i]), worth(scores[j]))) for i, j in pairs]
    in_ranks = [np.sign(ranks[j] - ranks[i]) for i, j in pairs]
    untied = np.abs(in_scores).sum() * np.abs(in_ranks).sum()
    if not np.abs(in_ranks).sum():
        return NAN
    return float(np.dot(in_scores, in_ranks) / np.sqrt(untied)) if untied else 0.0


def rank_difference(one: float, other: float) -> float:
    return 0.0 if one == other else one - other


@given(scored_rankings())
def test_every_statistic_equals_brute_force(case: tuple[list[float], list[int]]) -> None:
    scores, ranks = case
    table, ranking = np.array([scores]), np.array(ranks, dtype=float)
    assert rank_statistics.expected_wins(table, ranking)[0] == pytest.approx(naive_wins(scores, ranks))
    accuracy = rank_statistics.pairwise_accuracies(table, ranking)[0]
    assert accuracy == pytest.approx(naive_accuracy(scores, ranks), nan_ok=True)
    assert rank_statistics.kendall_taus(table, ranking)[0] == pytest.approx(naive_tau(scores, ranks), nan_ok=True)


@given(scored_rankings())
def test_correlations_equal_scipys(case: tuple[list[float], list[int]]) -> None:
    scores, ranks = case
    ranking, found = np.array(ranks, dtype=float), rank_statistics.kendall_taus(np.array([scores]), np.array(ranks))[0]
    tau = stats.kendalltau([worth(score) for score in scores], -ranking).statistic
    if not np.isnan(tau):
        assert found == pytest.approx(tau)
    defined = ~np.isnan(scores)
    if len(set(np.array(scores)[defined])) > 1 and len(set(ranking[defined])) > 1:
        rho = stats.spearmanr(np.array(scores)[defined], ranking[defined]).statistic
        assert rank_statistics.length_correlations(np.array([scores]), ranking)[0] == pytest.approx(rho)


@given(scored_rankings())
def test_no_order_of_the_candidates_changes_anything(case: tuple[list[float], list[int]]) -> None:
    """A file may list its candidates by rank; ties must not be broken by that."""
    table, ranking = np.array([case[0]]), np.array(case[1], dtype=float)
    for statistic in (
        rank_statistics.expected_wins,
        rank_statistics.pairwise_accuracies,
        rank_statistics.kendall_taus,
    ):
        turned = statistic(table[:, ::-1], ranking[::-1])
        assert turned == pytest.approx(statistic(table, ranking), nan_ok=True)


@pytest.mark.parametrize("scores", [[3.0, 3.0, 3.0, 3.0], [NAN] * 4])
def test_a_scorer_that_says_nothing_is_a_coin(scores: list[float]) -> None:
    table, ranks = np.array([scores]), np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_statistics.expected_wins(table, ranks)[0] == 0.5
    assert rank_statistics.pairwise_accuracies(table, ranks)[0] == 0.5
    assert rank_statistics.kendall_taus(table, ranks)[0] == 0.0


def test_the_best_choice_of_k_ties_only_with_itself() -> None:
    ranks = np.array([2.0, 1.0, 3.0, 5.0, 4.0])
    assert rank_statistics.expected_wins(-ranks[None, :], ranks)[0] == pytest.approx(1 - 1 / 10)
    assert rank_statistics.expected_wins(ranks[None, :], ranks)[0] == pytest.approx(1 / 10)


def test_an_undefined_score_is_never_zero() -> None:
    """All others are below zero: a null taken for 0 would be chosen."""
    scores, ranks = np.array([[NAN, -1.0, -2.0]]), np.array([3.0, 1.0, 2.0])
    assert rank_statistics.choice_weights(scores).tolist() == [[0.0, 1.0, 0.0]]
    assert rank_statistics.pairwise_accuracies(scores, ranks)[0] == 1.0


@pytest.mark.parametrize("case", CASES)
def test_wins_over_a_text_equal_the_references(case: dict[str, object]) -> None:
    """The reference's win rates of one method over another, from its own rankings."""
    ranks = np.array(case["ranks"], dtype=float)
    for name, expected in case["win"].items():  # type: ignore[attr-defined]
        one, other = (case["methods"].index(name.split("_")[place]) for place in (0, 2))  # type: ignore[attr-defined]
        wins = [rank_statistics.wins_over(np.array([[1.0]]), row[[one]], row[other])[0] for row in ranks]
        assert np.mean(wins) == pytest.approx(expected)
        error = case["se"][name.replace("mean", "standard_error")]  # type: ignore[index]
        assert np.std(wins, ddof=1) / np.sqrt(len(wins)) == pytest.approx(error)


def test_correlation_with_length_is_of_defined_scores_and_undefined_where_constant() -> None:
    lengths = np.array([10.0, 20.0, 30.0, 40.0])
    scores = np.array([[1.0, 2.0, 3.0, NAN], [4.0, 3.0, 2.0, 1.0], [5.0, 5.0, 5.0, 5.0]])
    assert rank_statistics.length_correlations(scores, lengths) == pytest.approx([1.0, -1.0, NAN], nan_ok=True)
