from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from ilf_kedro.evaluation.reward_breakdown import breakdown
from ilf_kedro.evaluation.reward_models import (
    accuracy_row,
    calibration,
    pairwise_accuracy,
    probability_preferred,
    too_few_to_judge,
)
from ilf_kedro.schemas import DataFrame, RewardPredictions, UserError


def test_accuracy_counts_a_tie_half() -> None:
    result = pairwise_accuracy([0.9, 0.4, 0.5, 0.7], [0.1, 0.6, 0.5, 0.2])
    assert (result.n, result.accuracy, result.ties) == (4, 0.625, 1)
    assert result.standard_error == pytest.approx(np.std([1, 0, 0.5, 1], ddof=1) / 2)


@pytest.mark.parametrize(("wins", "n", "confidence"), [(7, 12, 0.95), (0, 5, 0.95), (65, 100, 0.99)])
def test_the_interval_is_wilsons(wins: int, n: int, confidence: float) -> None:
    """The closed form of Wilson (1927)."""
    result = pairwise_accuracy([1.0] * wins + [0.0] * (n - wins), [0.5] * n, confidence=confidence)
    z, p = float(norm.ppf(0.5 + confidence / 2)), wins / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (result.lower, result.upper) == pytest.approx((max(centre - half, 0), centre + half))


def test_one_comparison_has_no_standard_error() -> None:
    assert math.isnan(pairwise_accuracy([1], [0]).standard_error)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [([], [], "shapes"), ([1.0], [1.0, 2.0], "shapes"), ([float("nan")], [0.5], "finite")],
)
def test_what_is_no_comparison_is_refused(left: list[float], right: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pairwise_accuracy(left, right)


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_the_probability_preferred_is_that_of_differing_answers(p: float, q: float) -> None:
    expected = p * (1 - q) / (p * (1 - q) + q * (1 - p))
    (found,) = probability_preferred([p], [q])
    (mirrored,) = probability_preferred([q], [p])
    assert found == pytest.approx(expected)
    assert found + mirrored == pytest.approx(1)


def test_certain_answers_have_finite_probabilities() -> None:
    assert probability_preferred([1.0, 0.0, 1.0], [0.0, 1.0, 1.0]) == pytest.approx([1, 0, 0.5])


def test_the_curve_compares_what_was_said_with_what_was() -> None:
    result = calibration([0.12, 0.18, 0.15, 0.95, 1.0], [0, 1, 0, 1, 1])
    assert result.curve.to_dict("list") == {
        "p_mean": pytest.approx([0.15, 0.975]),
        "observed": pytest.approx([1 / 3, 1.0]),
        "n": [3, 2],
    }
    assert result.expected_error == pytest.approx((abs(1 / 3 - 0.15) * 3 + 0.025 * 2) / 5)


def test_a_calibrated_judge_has_a_small_error_and_an_overconfident_one_a_large() -> None:
    random = np.random.default_rng(0)
    p = random.random(20_000)
    outcomes = random.random(20_000) < p
    assert calibration(p, outcomes).expected_error < 0.02
    assert calibration((p > 0.5).astype(float), outcomes).expected_error == pytest.approx(0.25, abs=0.02)


def test_the_error_of_a_calibrated_model_is_the_mean_over_all_outcomes() -> None:
    alone = 0.3 * 0.7 + 0.7 * 0.3
    assert calibration([0.3], [1]).error_if_calibrated == pytest.approx(alone, abs=0.03)
    together = (0.49 * 0.6 + 0.42 * 0.4 + 0.09 * 1.4) / 2  # none, one or both of two in a bin
    assert calibration([0.3, 0.3], [1, 0]).error_if_calibrated == pytest.approx(together, abs=0.03)
    apart = (0.42 + 2 * 0.95 * 0.05) / 2
    assert calibration([0.3, 0.95], [1, 0]).error_if_calibrated == pytest.approx(apart, abs=0.03)


def test_below_a_hundred_comparisons_the_curve_carries_a_warning() -> None:
    assert too_few_to_judge(99).startswith("99 comparisons are too few")
    assert too_few_to_judge(100) == ""
    assert calibration([0.5] * 12, [1] * 12).verdict == too_few_to_judge(12)


def predictions(rewards: list[tuple[float, float]]) -> DataFrame[RewardPredictions]:
    table = pd.DataFrame(rewards, columns=["reward_a", "reward_b"])
    table["p_a_preferred"] = probability_preferred(table["reward_a"], table["reward_b"])
    shown = {"p_a_shown_first": math.nan, "p_a_shown_second": math.nan, "n_tokens_a": 3, "n_tokens_b": 9}
    return RewardPredictions.validate(
        table.assign(example_id=[f"e{place}" for place in table.index], preferred="a", **shown)
    )


def test_a_comparison_without_a_reward_counts_neither_way_but_is_counted() -> None:
    defined = [(0.9, 0.1), (0.3, 0.6)]
    some = predictions([*defined, (math.nan, 0.6), (0.2, math.nan)])
    row = accuracy_row(some, n_train=5, confidence=0.95)
    assert row == {**accuracy_row(predictions(defined), n_train=5, confidence=0.95), "n_undefined": 2}
    assert (row["n"], row["accuracy"], row["ties"]) == (2, 0.5, 0)
    pd.testing.assert_frame_equal(breakdown(some, confidence=0.95), breakdown(predictions(defined), confidence=0.95))


def test_a_reward_model_that_answers_nothing_is_refused() -> None:
    nothing = predictions([(math.nan, math.nan), (math.nan, 0.5)])
    with pytest.raises(UserError, match=r"answered for none of 2 comparisons"):
        accuracy_row(nothing, n_train=5, confidence=0.95)
