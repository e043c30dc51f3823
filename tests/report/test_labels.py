"""What the report calls things, and how it writes numbers."""

from __future__ import annotations

from ilf_kedro.report.labels import colour, in_order, model_label, number, signed


def test_labels_and_numbers() -> None:
    assert model_label("finetune.refinements.n1000", 8) == "refinements, 1,000\u00a0inputs"
    assert model_label("finetune.best_of_n", 8) == "best of 8"
    models = ["finetune.best_of_n", "finetune.refinements.n16", "x", "finetune.refinements.n8", "finetune.base"]
    assert in_order(models) == ["finetune.base", *models[3:0:-2], "finetune.best_of_n", "x"]
    assert (number(-0.0001), signed(-0.0001), signed(0.0001), signed(0.002)) == ("0.000", "0.000", "0.000", "+0.002")
    assert (number(-0.1234), number(1234.5, 1), number(float("nan")), number(None)) == ("−0.123", "1,234.5", "–", "–")


def test_controls_stand_arm_by_arm_after_the_arms_that_learn_from_people() -> None:
    arms = ("refinements", "initial_outputs", "refinements_no_feedback", "refinements_model_feedback", "x")
    models = [f"finetune.{arm}.n{size}" for arm in arms for size in (4, 16)]
    assert in_order(reversed(models)) == models
    assert len({colour(arm) for arm in arms[:-1]}) == len(arms) - 1
