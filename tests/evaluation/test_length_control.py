"""Shares at equal length, against statsmodels' own clustered logit, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import expit, logit

from ilf_kedro.evaluation.length_control import Comparisons, length_controlled_share


def simulated(n: int, pairs: int, intercept: float, slope: float, seed: int = 0) -> Comparisons:
    rng = np.random.default_rng(seed)
    differences = rng.normal(8, 10, n * pairs)
    outcomes = (rng.random(n * pairs) < expit(intercept + slope * differences)).astype(float)
    return Comparisons(outcomes, differences, np.ones(n * pairs), np.repeat(np.arange(n), pairs))


def test_equals_the_clustered_logit_of_statsmodels() -> None:
    rows = simulated(40, 6, 0.3, 0.05)
    fitted = sm.Logit(rows.outcomes, sm.add_constant(rows.differences)).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": rows.examples, "use_correction": False}
    )
    found = length_controlled_share(rows, confidence=0.95)
    error = fitted.bse[0] * np.sqrt(40 / 39)
    reach = stats.t.ppf(0.975, 39) * error
    assert found.value == pytest.approx(expit(fitted.params[0]))
    assert (found.lower, found.upper) == pytest.approx(
        (expit(fitted.params[0] - reach), expit(fitted.params[0] + reach)), rel=1e-6
    )
    assert found.standard_error == pytest.approx(found.value * (1 - found.value) * error, rel=1e-6)


def test_a_preference_for_length_alone_is_a_coin_at_equal_length() -> None:
    """Raw, the preferred text wins far more often than half of the time; at equal length it must not."""
    rows = simulated(1500, 4, 0.0, 0.12)
    found = length_controlled_share(rows, confidence=0.95)
    assert rows.outcomes.mean() > 0.6
    assert found.value == pytest.approx(0.5, abs=0.03)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < 0.5 < found.upper


def test_without_any_length_difference_it_is_the_weighted_share() -> None:
    weights = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    outcomes = np.array([1.0, 0.5, 0.0, 1.0, 1.0])
    rows = Comparisons(outcomes, np.zeros(5), weights, np.arange(5))
    assert length_controlled_share(rows, confidence=0.95).value == pytest.approx(np.average(outcomes, weights=weights))


def test_a_unit_of_length_changes_nothing() -> None:
    rows = simulated(30, 5, 0.4, 0.03)
    in_characters = Comparisons(rows.outcomes, rows.differences * 4.5, rows.weights, rows.examples)
    one, other = (length_controlled_share(each, confidence=0.9) for each in (rows, in_characters))
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper))


def test_half_a_row_each_way_is_a_tie() -> None:
    rows = simulated(30, 5, 0.4, 0.03)
    tied = Comparisons(np.where(rows.differences > 15, 0.5, rows.outcomes), *_rest(rows))
    split = Comparisons(
        np.concatenate([np.where(tied.outcomes == 0.5, 1.0, tied.outcomes), np.zeros((tied.outcomes == 0.5).sum())]),
        np.concatenate([tied.differences, tied.differences[tied.outcomes == 0.5]]),
        np.concatenate([np.where(tied.outcomes == 0.5, 0.5, 1.0), np.full((tied.outcomes == 0.5).sum(), 0.5)]),
        np.concatenate([tied.examples, tied.examples[tied.outcomes == 0.5]]),
    )
    one, other = (length_controlled_share(each, confidence=0.9) for each in (tied, split))
    assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper))


def test_separated_outcomes_give_a_shrunken_share_and_no_interval() -> None:
    """Wins all at the longer text: the likelihood has no maximum, and an honest estimate no interval."""
    differences = np.array([-9.0, -5.0, -2.0, 3.0, 6.0, 8.0])
    rows = Comparisons((differences > 0).astype(float), differences, np.ones(6), np.arange(6))
    found = length_controlled_share(rows, confidence=0.95)
    assert 0.1 < found.value < 0.9
    assert (found.standard_error, found.lower, found.upper) == (None, None, None)
    assert "separated" in str(found.note)


def test_all_wins_are_shrunken_by_one_pseudo_row() -> None:
    """With no length difference the prior adds one row of ½ to the intercept: (n + ½) / (n + 1)."""
    rows = Comparisons(np.ones(9), np.zeros(9), np.ones(9), np.arange(9))
    assert length_controlled_share(rows, confidence=0.95).value == pytest.approx(9.5 / 10)


@pytest.mark.parametrize(
    ("differences", "examples", "reason"),
    [([4.0] * 6, range(6), "same throughout"), ([1.0, -2, 3, -4, 5, -6], [0, 0, 1, 1, 2, 2], "too few examples: 3")],
)
def test_what_cannot_be_estimated_is_null_with_its_reason(
    differences: list[float], examples: list[int], reason: str
) -> None:
    rows = Comparisons(np.array([1.0, 0, 1, 0, 1, 1]), np.array(differences), np.ones(6), np.array(examples))
    found = length_controlled_share(rows, confidence=0.95)
    assert np.isnan(found.value)
    assert found.lower is None
    assert reason in str(found.note)


def test_a_choice_that_is_always_longer_is_called_an_extrapolation() -> None:
    rows = simulated(30, 4, 0.2, 0.03)
    longer = Comparisons(rows.outcomes, np.abs(rows.differences) + 1, rows.weights, rows.examples)
    assert "extrapolated: the preferred text is longer" in str(length_controlled_share(longer, confidence=0.95).note)


def test_rows_of_one_example_are_no_independent_evidence() -> None:
    """Every row three times over says nothing new: the interval stays, for the examples are the same."""
    rows = simulated(30, 4, 0.2, 0.03)
    thrice = Comparisons(*(np.tile(each, 3) for each in (rows.outcomes, rows.differences, rows.weights, rows.examples)))
    one, other = (length_controlled_share(each, confidence=0.95) for each in (rows, thrice))
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper))
    assert logit(one.value) == pytest.approx(logit(other.value))


def _rest(rows: Comparisons) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows.differences, rows.weights, rows.examples
