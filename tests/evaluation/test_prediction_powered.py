"""PPI++ by the paper's formula, its weight by brute force, and its truth by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

from ilf_kedro.evaluation.prediction_powered import prediction_powered_mean


def drawn(n: int, more: int, seed: int = 0, rho: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of 0, ½ and 1, predictions that go with them, and further predictions."""
    rng = np.random.default_rng(seed)
    of_people = rng.normal(size=n + more)
    of_judge = rho * of_people + np.sqrt(1 - rho**2) * rng.normal(size=n + more)
    labels, predictions = np.digitize(of_people, [-0.5, 0.1]) / 2.0, 1 / (1 + np.exp(-2 * of_judge - 0.3))
    return labels[:n], predictions[:n], predictions[n:]


def by_the_paper(labels: np.ndarray, predictions: np.ndarray, unlabelled: np.ndarray, weight: float) -> float:
    """Equation 2 of Angelopoulos et al. 2023, for a mean, sum by sum."""
    of_unlabelled = sum(weight * each for each in unlabelled) / len(unlabelled)
    rectified = sum(y - weight * f for y, f in zip(labels, predictions, strict=True)) / len(labels)
    return of_unlabelled + rectified


def test_the_estimate_is_the_papers_at_the_weight_of_the_smallest_variance() -> None:
    labels, predictions, unlabelled = drawn(30, 150)

    def variance(weight: float) -> float:
        """Of the estimate, with the predictions' variance from the labelled ones."""
        own = (labels - weight * predictions).var(ddof=1) / labels.size
        return float(own + weight**2 * predictions.var(ddof=1) / unlabelled.size)

    found = prediction_powered_mean(labels, predictions, unlabelled, confidence=0.95)
    best = minimize_scalar(variance, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    assert found.weight == pytest.approx(best.x, abs=1e-5)
    assert found.estimate.value == pytest.approx(by_the_paper(labels, predictions, unlabelled, found.weight))
    error = np.sqrt(
        ((labels - found.weight * predictions - (labels - found.weight * predictions).mean()) ** 2).sum() / 28 / 30
        + found.weight**2 * unlabelled.var(ddof=1) / 150
    )
    assert found.estimate.standard_error == pytest.approx(error)
    assert found.estimate.upper == pytest.approx(found.estimate.value + stats.t.ppf(0.975, 28) * error)


def test_predictions_that_say_nothing_get_no_weight() -> None:
    labels, _, unlabelled = drawn(20, 100)
    for predictions in (np.full(20, 0.5), 1 - labels):
        found = prediction_powered_mean(labels, predictions, unlabelled, confidence=0.95)
        assert (found.weight, found.estimate.value) == (0.0, pytest.approx(labels.mean()))


def test_a_judge_that_is_wrong_by_as_much_everywhere_makes_no_bias() -> None:
    values = [prediction_powered_mean(y, f * 0.5, more * 0.5, confidence=0.95).estimate.value
              for y, f, more in (drawn(40, 400, seed) for seed in range(300))]  # fmt: skip
    truth = drawn(200_000, 1)[0].mean()
    assert np.mean(values) == pytest.approx(truth, abs=3 * np.std(values) / np.sqrt(300))
    alone = [drawn(40, 400, seed)[0].mean() for seed in range(300)]
    assert np.std(values) < 0.8 * np.std(alone), "and it narrows what people alone leave open"


def test_fewer_than_five_labels_and_labels_all_alike_have_no_interval() -> None:
    few = prediction_powered_mean(*drawn(4, 50), confidence=0.95).estimate
    assert (few.lower, few.note) == (None, "too few for an interval: 4 labels")
    alike = prediction_powered_mean(np.ones(9), np.full(9, 0.7), np.full(20, 0.7), confidence=0.95).estimate
    assert (alike.value, alike.lower, alike.note) == (1.0, None, "all 9 labels alike: no interval")
