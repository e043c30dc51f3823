"""Power by simulation, and a confidence sequence that no amount of looking betrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate
from ilf_kedro.evaluation.power import any_time_interval, n_for_half_width, smallest_difference


def test_the_smallest_difference_is_shown_in_four_of_five_samples() -> None:
    n, level = 20, 0.01
    found = smallest_difference(Estimate(0.0, n, 1.5 / math.sqrt(n)), level=level)
    assert found is not None
    samples = np.random.default_rng(0).normal(found, 1.5, size=(20_000, n))
    shown = stats.ttest_1samp(samples, 0, axis=1).pvalue < level
    assert shown.mean() == pytest.approx(0.8, abs=0.01)


def test_no_spread_and_few_examples_have_no_smallest_difference() -> None:
    assert smallest_difference(Estimate(0.5, 30), level=0.05) is None
    assert smallest_difference(Estimate(0.5, 4, 0.1), level=0.05) is None
    assert n_for_half_width(Estimate(0.5, 30), 0.03, confidence=0.95) is None


def test_win_rates_near_one_half_take_some_thousand_rankings_for_3_points() -> None:
    outcomes = np.tile([0.0, 1.0], 50)
    estimate = mean_estimate(outcomes, Bootstrap())
    n = n_for_half_width(estimate, 0.03, confidence=0.95)
    by_hand = (1.959964 / 0.03) ** 2 * 0.25 * 100 / 99
    assert n == math.ceil(by_hand) == 1078


def played(outcomes: list[float], mean: float, alpha: float) -> float:
    """The most that either gambler had at any time, bet by bet as Waudby-Smith and Ramdas write it (section 4.4)."""
    up = down = most = 1.0
    total, squares = 0.5, 0.25
    for t, outcome in enumerate(outcomes, start=1):
        variance = squares / t
        bet = math.sqrt(2 * math.log(2 / alpha) / (variance * t * math.log(1 + t)))
        up *= 1 + min(bet, 0.5 / mean) * (outcome - mean)
        down *= 1 - min(bet, 0.5 / (1 - mean)) * (outcome - mean)
        most = max(most, up, down)
        total += outcome
        squares += (outcome - total / (t + 1)) ** 2
    return most


def test_a_mean_is_left_out_where_a_gambler_got_rich_on_it() -> None:
    outcomes = np.random.default_rng(3).choice([0.0, 0.5, 1.0], 120, p=[0.2, 0.2, 0.6])
    found = any_time_interval(outcomes, confidence=0.95)
    assert found is not None
    kept = [mean for mean in np.arange(1, 200) / 200 if played(outcomes.tolist(), mean, 0.05) < 2 / 0.05]
    assert found[0] == pytest.approx(kept[0], abs=0.0071)
    assert found[1] == pytest.approx(kept[-1], abs=0.0071)
    assert found[0] <= kept[0]
    assert found[1] >= kept[-1]


def test_looking_after_every_judgement_is_wrong_in_five_percent_of_studies_at_most() -> None:
    """Where the usual interval, looked at as often, leaves the truth out of far more."""
    rng = np.random.default_rng(5)
    wrong = by_t = 0
    for _ in range(400):
        outcomes = rng.choice([0.0, 0.5, 1.0], 200, p=[0.35, 0.2, 0.45])
        found = any_time_interval(outcomes, confidence=0.95)
        wrong += found is None or not found[0] <= 0.55 <= found[1]
        looks = range(10, 201, 5)
        t = [abs(outcomes[:n].mean() - 0.55) / (outcomes[:n].std(ddof=1) / math.sqrt(n)) for n in looks]
        by_t += any(each > stats.t.ppf(0.975, n - 1) for each, n in zip(t, looks, strict=True))
    assert wrong / 400 <= 0.05
    assert by_t / 400 > 0.15
