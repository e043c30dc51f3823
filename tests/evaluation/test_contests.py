"""Paired tests of every two scorers, against enumeration, Westfall and Young's definition, and simulated power."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ilf_kedro.evaluation.contests import contests, rankings_needed, sign_flip_tests
from ilf_kedro.evaluation.intervals import Bootstrap, mean_estimate

BOOTSTRAP = Bootstrap(confidence=0.95, resamples=200, seed=3)


def table(n: int, means: list[float], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(means, 0.2, (n, len(means)))


def test_a_pair_alone_is_scipys_permutation_test() -> None:
    values = table(9, [0.6, 0.5], seed=4)
    p_values, adjusted = sign_flip_tests(values, np.array([0]), np.array([1]), seed=0)
    exact = stats.permutation_test(
        (values[:, 0], values[:, 1]),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert p_values[0] == pytest.approx(exact.pvalue)
    assert adjusted[0] == p_values[0]


def test_adjusted_p_values_are_the_step_down_maxima_by_enumeration() -> None:
    values = table(7, [0.9, 0.6, 0.5], seed=1)
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    found = sign_flip_tests(values, first, second, seed=0)[1]
    differences = values[:, first] - values[:, second]

    def statistics(signs: tuple[int, ...]) -> np.ndarray:
        return np.abs(np.array(signs) @ differences) / np.sqrt((differences**2).sum(axis=0))

    observed = statistics((1,) * 7)
    flips = [statistics(signs) for signs in product((1, -1), repeat=7)]
    order, expected, least = np.argsort(-observed), np.empty(3), 0.0
    for step, pair in enumerate(order):
        left = order[step:]
        least = max(least, float(np.mean([flip[left].max() >= observed[pair] - 1e-9 for flip in flips])))
        expected[pair] = least
    assert found == pytest.approx(expected)
    assert (found >= sign_flip_tests(values, first, second, seed=0)[0] - 1e-12).all()


def test_equal_scorers_and_a_pair_of_twins_are_not_told_apart() -> None:
    values = table(20, [0.5, 0.5])
    both = np.column_stack([values, values[:, 0]])
    p_values, adjusted = sign_flip_tests(both, np.array([0]), np.array([2]), seed=0)
    assert (p_values[0], adjusted[0]) == (1.0, 1.0)


def test_the_smallest_p_value_of_eight_examples_is_one_in_128() -> None:
    values = np.column_stack([np.full(8, 0.9) + np.arange(8) / 1000, np.full(8, 0.1)])
    assert sign_flip_tests(values, np.array([0]), np.array([1]), seed=0)[0][0] == 2 / 2**8


def test_drawn_flips_come_near_the_enumerated_ones_and_follow_the_seed() -> None:
    values = table(13, [0.62, 0.5], seed=8)
    pair = (np.array([0]), np.array([1]))
    drawn = [sign_flip_tests(values, *pair, seed=seed)[0][0] for seed in (1, 1, 2)]
    exact = stats.permutation_test(
        (values[:, 0], values[:, 1]),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == pytest.approx(exact, abs=5 * math.sqrt(exact / 10_000))


def test_the_table_has_every_pair_once_with_its_paired_interval() -> None:
    values = pd.DataFrame(table(15, [0.4, 0.7, 0.55]), columns=["a", "b", "c"])
    found = contests(values, BOOTSTRAP)
    means = values.mean()
    assert {frozenset(pair) for pair in zip(found["scorer"], found["other"], strict=True)} == {
        frozenset("ab"),
        frozenset("ac"),
        frozenset("bc"),
    }
    assert (means[found["scorer"]].to_numpy() >= means[found["other"]].to_numpy()).all()
    assert found["scorer"].iloc[0] == means.idxmax()
    row = found.set_index(["scorer", "other"]).loc[("b", "a")]
    paired = mean_estimate(values["b"] - values["a"], BOOTSTRAP)
    assert (row["difference"], row["lower"], row["upper"]) == (paired.value, paired.lower, paired.upper)


@pytest.mark.parametrize("columns", [["a"], []])
def test_one_scorer_has_nobody_to_contest(columns: list[str]) -> None:
    with pytest.raises(ValueError, match="two scorers"):
        contests(pd.DataFrame(np.ones((4, len(columns))), columns=columns), BOOTSTRAP)


def test_rankings_needed_is_the_closed_form() -> None:
    differences = np.array([0.4, -0.2, 0.3, 0.1, 0.0, 0.2])
    z = stats.norm.ppf(1 - 0.01 / 2) + stats.norm.ppf(0.8)
    expected = math.ceil((z * differences.std(ddof=1) / differences.mean()) ** 2)
    assert rankings_needed(differences, level=0.01) == expected


def test_that_many_rankings_do_show_the_difference_four_times_in_five() -> None:
    """Power by simulation: of t-tests on samples of the returned size, about 80 % reject."""
    rng = np.random.default_rng(5)
    differences = 0.1 + 0.3 * stats.zscore(np.arange(50.0), ddof=1)
    n = int(rankings_needed(differences, level=0.05) or 0)
    drawn = rng.normal(0.1, 0.3, (4000, n))
    rejected = stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
    assert rejected.mean() == pytest.approx(0.8, abs=0.03)


def test_no_number_shows_a_difference_that_is_none() -> None:
    assert rankings_needed(np.array([0.1, -0.1]), level=0.05) is None
    assert rankings_needed(np.array([0.2, 0.2]), level=0.05) is None
    assert rankings_needed(np.array([0.2]), level=0.05) is None


def test_a_huge_difference_still_needs_enough_flips_for_so_small_a_p_value() -> None:
    differences = np.array([0.5, 0.51, 0.5, 0.49])
    needed = int(rankings_needed(differences, level=0.001) or 0)
    assert 2.0 ** (1 - needed) <= 0.001 < 2.0 ** (2 - needed)
