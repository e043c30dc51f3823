"""Intervals against closed forms, brute force and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.evaluation.intervals import (
    Bootstrap,
    clustered_share_estimate,
    mean_estimate,
    mean_share_estimate,
    ratio_estimate,
    share_estimate,
    standard_error_of_mean,
)

BOOTSTRAP = Bootstrap(confidence=0.95, resamples=2000, seed=7)


def wilson(share: float, n: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's interval (1927) as its formula stands."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (7, 12), (12, 12), (319, 500)])
def test_share_has_wilsons_interval(successes: int, n: int) -> None:
    estimate = share_estimate(successes, n, confidence=0.95)
    assert (estimate.lower, estimate.upper) == pytest.approx(wilson(successes / n, n), abs=1e-9)
    assert estimate.value == successes / n
    assert (estimate.standard_error is None) == (successes in (0, n)), "zero spread is not certainty"


def test_outcomes_without_a_tie_are_a_share_and_those_with_ties_a_mean() -> None:
    won = [1.0] * 7 + [0.0] * 5
    assert mean_share_estimate(won, BOOTSTRAP) == share_estimate(7, 12, confidence=0.95)
    tied = mean_share_estimate([0.5, *won[1:]], BOOTSTRAP)
    assert (tied.lower, tied.upper) == pytest.approx(
        [getattr(mean_estimate([0.5, *won[1:]], BOOTSTRAP), end) for end in ("lower", "upper")]
    )
    with pytest.raises(ValueError, match=r"between 0 and 1, found 0\.5 to 2"):
        mean_share_estimate([0.5, 2.0], BOOTSTRAP)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_shares_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{successes} of {n}"):
        share_estimate(successes, n, confidence=0.95)


def test_standard_error_is_with_n_minus_one() -> None:
    assert standard_error_of_mean([1.0, 2.0, 4.0]) == pytest.approx(math.sqrt(7 / 3 / 3))
    assert standard_error_of_mean([1.0]) is None


def test_different_values_get_the_quantiles_of_every_possible_resample() -> None:
    values = np.array([0.0, 1.0, 2.0, 4.0, 9.0])
    every = np.array(list(itertools.product(values, repeat=5)))
    errors = every.std(axis=1, ddof=1) / math.sqrt(5)
    statistics = (every.mean(axis=1) - values.mean())[errors > 0] / errors[errors > 0]
    error = values.std(ddof=1) / math.sqrt(5)
    estimate = mean_estimate(values, Bootstrap(confidence=0.8, resamples=200_000, seed=1))
    assert estimate.lower == pytest.approx(values.mean() - np.quantile(statistics, 0.9) * error, abs=0.05)
    assert estimate.upper == pytest.approx(values.mean() - np.quantile(statistics, 0.1) * error, abs=0.05)
    # It leans to the long tail, where Student's interval is symmetric.
    assert estimate.upper - estimate.value > estimate.value - estimate.lower


def test_repeated_values_get_students_interval() -> None:
    values = np.array([-1.0, 0, 0, 0, 1, 1, 1, 0])
    estimate = mean_estimate(values, BOOTSTRAP)
    reach = 2.364624251592785 * values.std(ddof=1) / math.sqrt(8)  # the 97.5 % quantile of t with 7 degrees of freedom
    assert (estimate.lower, estimate.upper) == pytest.approx((values.mean() - reach, values.mean() + reach))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_below_five_examples_there_is_an_error_but_no_interval(n: int) -> None:
    estimate = mean_estimate(np.arange(n), BOOTSTRAP)
    assert estimate.standard_error == pytest.approx(np.arange(n).std(ddof=1) / math.sqrt(n))
    assert (estimate.lower, estimate.upper) == (None, None)
    assert estimate.note == f"too few for an interval: {n} examples, and it takes 5"
    assert ratio_estimate(np.arange(n), np.ones(n), BOOTSTRAP) == estimate


@pytest.mark.parametrize("n", [5, 8, 12])
def test_no_effect_counts_as_clear_about_as_often_as_it_may(n: int) -> None:
    """The BCa bootstrap, which stood here before, found one in 49 to 11 % of such samples."""
    rng = np.random.default_rng(n)
    estimates = [mean_estimate(rng.normal(size=n), Bootstrap(0.95, 400, 0)) for _ in range(600)]
    assert 0.02 <= np.mean([each.lower > 0 or each.upper < 0 for each in estimates]) <= 0.085


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert mean_estimate(values, BOOTSTRAP) == mean_estimate(values, BOOTSTRAP)
    assert mean_estimate(values, BOOTSTRAP) != mean_estimate(values, Bootstrap(seed=8))


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    estimates = [mean_estimate(rng.exponential(size=40), Bootstrap(0.9, 300, 3)) for _ in range(200)]
    covered = np.mean([e.lower <= 1.0 <= e.upper for e in estimates])
    assert 0.82 <= covered <= 0.96


@pytest.mark.parametrize("values", [[0.5] * 12, [1.0, 1.0]])
def test_constant_samples_have_no_interval_and_say_why(values: list[float]) -> None:
    estimate = mean_estimate(values, BOOTSTRAP)
    assert (estimate.standard_error, estimate.lower, estimate.upper) == (None, None, None)
    assert "alike" in estimate.note


def test_one_value_has_neither_error_nor_interval() -> None:
    estimate = mean_estimate([3.0], BOOTSTRAP)
    assert (estimate.value, estimate.standard_error, estimate.lower) == (3.0, None, None)
    assert estimate.note == "one example: no interval"


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_nothing_and_not_finite_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_estimate(values, BOOTSTRAP)


@given(st.lists(st.integers(0, 2).map(lambda v: v / 2), min_size=1, max_size=12))
def test_estimates_of_outcomes_are_ordered_and_within_bounds(values: list[float]) -> None:
    estimate = mean_share_estimate(values, Bootstrap(resamples=100))
    if estimate.lower is None:
        assert estimate.note is not None
    else:
        assert 0 <= estimate.lower < estimate.upper <= 1


def test_ratio_is_of_sums_and_its_error_that_of_the_linearised_ratio() -> None:
    rng = np.random.default_rng(2)
    below = rng.integers(5, 50, size=400).astype(float)
    above = 2 * below + rng.normal(size=400) * 4
    estimate = ratio_estimate(above, below, BOOTSTRAP)
    assert estimate.value == pytest.approx(above.sum() / below.sum())
    draws = rng.integers(0, 400, size=(4000, 400))
    spread = (above[draws].sum(axis=1) / below[draws].sum(axis=1)).std()
    assert estimate.standard_error == pytest.approx(spread, rel=0.06)
    assert estimate.upper - estimate.lower == pytest.approx(2 * 1.96 * spread, rel=0.1)


def test_ratio_refuses_denominators_that_are_not_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio_estimate([1.0, 2.0], [1.0, 0.0], BOOTSTRAP)


def test_clusters_of_one_trial_are_independent_trials() -> None:
    trials = [True] * 30 + [False] * 10
    estimate = clustered_share_estimate(trials, [str(i) for i in range(40)], confidence=0.95)
    # The cluster estimate has G - 1 where the independent one has n: a design effect of 40/39; and t of 39 for z.
    assert (estimate.lower, estimate.upper) == pytest.approx(wilson(0.75, 39, 2.022690911734728), abs=1e-9)


def test_repeated_trials_of_a_cluster_add_no_certainty() -> None:
    once = clustered_share_estimate([True, True, True, False], list("abcd"), confidence=0.95)
    tenfold = clustered_share_estimate([True, True, True, False] * 10, list("abcd") * 10, confidence=0.95)
    assert (tenfold.lower, tenfold.upper) == pytest.approx((once.lower, once.upper))
    assert tenfold.n == 40


def test_unanimous_trials_count_by_cluster() -> None:
    estimate = clustered_share_estimate([True] * 6, list("aabbcc"), confidence=0.95)
    assert (estimate.lower, estimate.upper) == pytest.approx(wilson(1.0, 3), abs=1e-9)


def test_an_interval_does_not_leave_where_values_can_lie() -> None:
    correlations = [1.0, 0.8, -0.9, 0.3, 1.0]
    free, held = mean_estimate(correlations, BOOTSTRAP), mean_estimate(correlations, BOOTSTRAP, within=(-1.0, 1.0))
    assert free.upper > 1
    assert (held.lower, held.upper) == (max(-1.0, free.lower), 1.0)
