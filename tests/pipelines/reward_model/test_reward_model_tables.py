"""The reward model's evaluation on predictions that are given."""

from __future__ import annotations

import pytest
from statsmodels.stats.proportion import proportion_confint

from ilf_kedro.pipelines.reward_model.nodes import evaluate_predictions
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.schemas import RewardPredictions
from tests.support.training_records import checkpoint

STEP = {"step": 1.0, "epoch": 0.5, "loss": 0.7, "learning_rate": 1e-4, "gradient_norm": 1.0}
CHECKPOINT = checkpoint(n_examples=48, n_truncated=3, log=(STEP, STEP | {"step": 2.0, "epoch": 1.0, "loss": 0.6}))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_accuracy_carries_the_confidence_of_its_interval(confidence: float) -> None:
    rows = [
        ("e0", "a", 0.9, 0.1, 0.9, None, None, 3, 4),
        ("e1", "b", 0.9, 0.1, 0.9, None, None, 3, 4),
        ("e2", "b", 0.2, 0.4, 0.3, None, None, 3, 4),
        ("e3", "a", 0.6, 0.5, 0.6, None, None, 3, 4),
    ]
    predictions = RewardPredictions.from_rows(rows)
    accuracy, _, _ = evaluate_predictions(predictions, CHECKPOINT, RewardModelOptions(confidence=confidence))
    (row,) = accuracy.to_dict("records")
    assert (row["confidence"], row["accuracy"], row["n_train"]) == (confidence, 0.75, 24)
    expected = proportion_confint(3, 4, alpha=1 - confidence, method="wilson")
    assert (row["lower"], row["upper"]) == pytest.approx(expected)


def test_a_training_log_says_of_how_many_examples_it_is() -> None:
    log = training_log(CHECKPOINT)
    assert log["loss"].tolist() == [0.7, 0.6]
    assert log[["n_examples", "n_truncated"]].drop_duplicates().to_numpy().tolist() == [[48, 3]]
