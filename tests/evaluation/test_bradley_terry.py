"""Strengths against choix's, and their errors against statsmodels' clustered covariance."""

from __future__ import annotations

import choix
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from ilf_kedro.evaluation.bradley_terry import PairOutcomes, strengths
from ilf_kedro.evaluation.clustering import Judgements

N_ARMS = 4
TRUE = np.array([0.8, 0.2, -0.1, -0.9])


def drawn(n_inputs: int, seed: int = 1) -> PairOutcomes:
    """Rankings of four arms per input, cut to pairs, with ties among the close ones."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(N_ARMS, 1)
    utility = TRUE + rng.gumbel(size=(n_inputs, N_ARMS))
    gaps = utility[:, first] - utility[:, second]
    outcomes = np.where(np.abs(gaps) < 0.3, 0.5, (gaps > 0).astype(float))
    ids = [f"e{i}" for i in range(n_inputs) for _ in first]
    return PairOutcomes(
        np.tile(first, n_inputs), np.tile(second, n_inputs), outcomes.ravel(), Judgements.of(ids, ["x"] * len(ids))
    )


def test_strengths_are_those_of_choix_with_a_tie_as_a_win_each() -> None:
    pairs = drawn(60)
    won: list[tuple[int, int]] = []
    for one, other, outcome in zip(pairs.first, pairs.second, pairs.outcomes, strict=True):
        won += [(one, other)] * round(2 * outcome) + [(other, one)] * round(2 * (1 - outcome))
    expected = choix.opt_pairwise(N_ARMS, won)
    found = [each.value for each in strengths(pairs, N_ARMS, confidence=0.95)]
    assert found == pytest.approx(expected - expected.mean(), abs=1e-5)
    assert sum(found) == pytest.approx(0)


def test_errors_are_statsmodels_clustered_by_input() -> None:
    pairs = drawn(60)
    design = np.eye(N_ARMS)[pairs.first] - np.eye(N_ARMS)[pairs.second]
    model = sm.GLM(pairs.outcomes, design[:, :-1], family=sm.families.Binomial())
    groups = {"groups": pairs.judgements.inputs, "use_correction": False}
    covariance = model.fit(cov_type="cluster", cov_kwds=groups).cov_params() * 60 / 59
    centred = np.vstack([np.eye(N_ARMS - 1), np.zeros(N_ARMS - 1)]) - 1 / N_ARMS  # less the mean of the four
    errors = np.sqrt(np.diag(centred @ covariance @ centred.T))
    found = strengths(pairs, N_ARMS, confidence=0.95)
    assert [each.standard_error for each in found] == pytest.approx(list(errors), rel=1e-4)
    reach = stats.t.ppf(0.975, 59)
    assert [each.upper for each in found] == pytest.approx(
        [each.value + reach * error for each, error in zip(found, errors, strict=True)], rel=1e-4
    )


def test_a_second_annotator_of_an_input_does_not_count_it_twice() -> None:
    pairs = drawn(30)
    ids = [f"e{i}" for i in np.tile(pairs.judgements.inputs, 2)]
    people = ["x"] * pairs.first.size + ["y"] * pairs.first.size
    twice = PairOutcomes(
        np.tile(pairs.first, 2), np.tile(pairs.second, 2), np.tile(pairs.outcomes, 2), Judgements.of(ids, people)
    )
    for one, two in zip(strengths(pairs, 4, confidence=0.9), strengths(twice, 4, confidence=0.9), strict=True):
        assert (two.value, two.standard_error) == (pytest.approx(one.value), pytest.approx(one.standard_error))


def test_an_arm_that_never_lost_has_a_finite_strength_and_no_interval() -> None:
    ids = ["a", "b", "c", "d", "e", "f"]
    judgements = Judgements.of(ids, ["x"] * 6)
    pairs = PairOutcomes(np.zeros(6, int), np.ones(6, int), np.ones(6), judgements)
    best, worst = strengths(pairs, 2, confidence=0.95)
    # 6 wins and half a comparison that is a tie: log(6.25 / 0.25), halved for the mean of 0.
    assert best.value == pytest.approx(np.log((6 + 0.5) / 0.5) / 2)
    assert worst.value == -best.value
    assert best.lower is None
    assert "never lost" in str(best.note)


def test_arms_without_a_chain_of_comparisons_have_no_common_scale() -> None:
    judgements = Judgements.of(["a", "b"], ["x", "x"])
    pairs = PairOutcomes(np.array([0, 2]), np.array([1, 3]), np.array([1.0, 0.5]), judgements)
    assert all(np.isnan(each.value) for each in strengths(pairs, 4, confidence=0.95))
