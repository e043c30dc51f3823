"""Errors clustered by input and annotator, against statsmodels and sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

from ilf_kedro.evaluation.clustering import Judgements, clustered_errors, clustered_mean
from ilf_kedro.evaluation.intervals import Bootstrap, mean_share_estimate
from ilf_kedro.schemas.names import IDENTICAL_OUTPUTS

BOOTSTRAP = Bootstrap(resamples=200)


def crossed(n_inputs: int, n_annotators: int, seed: int = 0) -> tuple[np.ndarray, Judgements]:
    """Every annotator judges every input; both have a leaning of their own."""
    rng = np.random.default_rng(seed)
    chance = 0.5 + rng.normal(0, 0.2, n_inputs)[:, None] + rng.normal(0, 0.2, n_annotators)[None, :]
    values = (rng.random((n_inputs, n_annotators)) < chance).astype(float).ravel()
    inputs = np.repeat([f"e{i}" for i in range(n_inputs)], n_annotators)
    return values, Judgements.of(inputs.tolist(), [f"a{i}" for i in range(n_annotators)] * n_inputs)


def test_errors_by_two_groupings_are_those_of_statsmodels() -> None:
    values, judgements = crossed(40, 8)
    model = sm.OLS(values, np.ones_like(values)).fit()
    influences = ((values - values.mean()) / values.size)[:, None]
    errors, degrees = clustered_errors(influences, (judgements.inputs, judgements.annotators))
    both, by_input, by_annotator = cov_cluster_2groups(
        model, judgements.inputs, judgements.annotators, use_correction=False
    )
    within = (influences**2).sum()  # each pair of input and annotator has one judgement
    expected = by_input * 40 / 39 + by_annotator * 8 / 7 - within * 320 / 319
    assert errors[0] ** 2 == pytest.approx(float(np.squeeze(expected)))
    assert both is not None
    assert degrees == 7
    one, degrees = clustered_errors(influences, (judgements.inputs,))
    alone = float(np.squeeze(cov_cluster(model, judgements.inputs, use_correction=False)))
    assert (one[0] ** 2, degrees) == (pytest.approx(alone * 40 / 39), 39)


def test_few_annotators_are_these_ones_and_many_are_a_sample() -> None:
    values, judgements = crossed(40, 4)
    few = clustered_mean(values, judgements, BOOTSTRAP, share=True)
    assert few.estimate == mean_share_estimate(values.reshape(40, 4).mean(axis=1), BOOTSTRAP)
    values, judgements = crossed(40, 8)
    many = clustered_mean(values, judgements, BOOTSTRAP, share=True)
    over_inputs = mean_share_estimate(values.reshape(40, 8).mean(axis=1), BOOTSTRAP)
    assert many.estimate.value == over_inputs.value
    assert many.estimate.standard_error > over_inputs.standard_error
    assert many.degrees == 7
    t = (many.estimate.value - 0.5) / many.estimate.standard_error
    assert many.p_value(0.5, seed=0) == pytest.approx(2 * stats.t.sf(abs(t), 7))


def test_each_input_counts_once_however_many_judged_it() -> None:
    judgements = Judgements.of(["a", "a", "a", "b"], ["x", "y", "z", "x"])
    found = clustered_mean(np.array([1.0, 1.0, 0.0, 0.0]), judgements, BOOTSTRAP, share=True)
    assert found.estimate.value == pytest.approx((2 / 3 + 0) / 2)
    assert found.per_input.tolist() == pytest.approx([2 / 3, 0])


def test_identical_outputs_and_computed_values_have_no_annotator() -> None:
    judgements = Judgements.of(["a", "b", "c", "d"], ["x", IDENTICAL_OUTPUTS, IDENTICAL_OUTPUTS, ""])
    assert judgements.n_annotators == 1
    assert len(set(judgements.annotators)) == 4
