"""Measurements from the project's tables, against log-odds and means worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.evaluation.contrasts import WIN_RATE, contrasts
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.measurements import PEOPLE, judge_of, measured_outputs, measured_rankings, paired_log_odds
from ilf_kedro.evaluation.win_rates import outcomes_from_verdicts
from ilf_kedro.schemas import Rankings, Verdicts
from tests.support.report_inputs import FakeRun

RUN = FakeRun(n_test=6, sizes=(8,))
FIRST = "finetune.refinements.n8"


def outputs() -> pd.DataFrame:
    return pd.concat([RUN.outputs(model) for model in RUN.models], ignore_index=True)


def verdicts(p_shown_first: dict[str, list[float]], p_reference_first: dict[str, list[float]]) -> Verdicts:
    rows = []
    for model, shown in p_shown_first.items():
        for order, p in (("model_first", shown), ("baseline_first", p_reference_first[model])):
            rows += [
                {
                    "example_id": f"test-{i}",
                    "model": model,
                    "baseline": "reference",
                    "order": order,
                    "p_first": value,
                    "prefers": "undefined"
                    if math.isnan(value)
                    else ("model" if order == "model_first" else "baseline"),
                    "judged_by": "sphinx",
                    "covered": 0.9,
                }
                for i, value in enumerate(p)
            ]
    return Verdicts.from_rows(rows)


def test_the_log_odds_of_both_orders_cancel_the_place() -> None:
    # An output worth log-odds 1, and a place worth 3: the judge says "first" in either order.
    first, second = 1 / (1 + math.exp(-(1 + 3))), 1 / (1 + math.exp(-(-1 + 3)))
    assert first > 0.5
    assert second > 0.5
    assert paired_log_odds([first], [second]) == pytest.approx([1.0])
    assert np.isfinite(paired_log_odds([1.0, 0.0], [0.0, 1.0])).all()


def test_a_judge_that_always_says_first_still_tells_by_its_probabilities() -> None:
    """Hard verdicts give every model ½; the probabilities behind them order the models."""
    n, better, worse = 6, [0.95] * 6, [0.9] * 6
    table = verdicts({"good": better, "bad": worse}, {"good": [0.6] * n, "bad": [0.9] * n})
    assert set(outcomes_from_verdicts(table)["outcome"]) == {0.5}
    measured = measured_outputs(RUN.examples("test", n), outputs(), verdicts=table, rouge=False)
    found = contrasts(measured, Bootstrap(resamples=200), [("good", "bad"), ("bad", "reference")])
    rates = found[found["statistic"] == WIN_RATE].set_index("arm")["value"]
    assert rates["good"] == 1.0
    assert rates["bad"] == 0.5, "its log-odds over the reference are 0"


def test_a_refused_verdict_is_no_value() -> None:
    table = verdicts({FIRST: [0.8, math.nan, 0.7]}, {FIRST: [0.3, 0.4, 0.6]})
    measured = measured_outputs(RUN.examples("test", 6), outputs(), verdicts=table, rouge=False)
    judged = measured[(measured["measure"] == "judge:sphinx") & (measured["arm"] == FIRST)]
    assert list(judged["example_id"]) == ["test-0", "test-2"]
    assert judged["value"].iloc[0] == pytest.approx((math.log(4) - math.log(3 / 7)) / 2)


def test_several_samples_of_an_input_are_averaged() -> None:
    rewards = RUN.rewards()
    measured = measured_outputs(RUN.examples("test", 6), outputs(), rewards=rewards, rouge=True)
    own = measured[(measured["measure"] == "reward") & (measured["arm"] == "finetune.base")]
    expected = rewards[rewards["model"] == "finetune.base"].groupby("example_id", sort=False)["reward"].mean()
    assert list(own["value"]) == pytest.approx(list(expected))
    assert own["length"].notna().all()
    assert set(measured["measure"]) == {"reward", "rouge_l"}


def test_people_are_one_measure_and_each_judge_another() -> None:
    rows = [("e1", "human:anna", "a", 1), ("e1", "human:ben", "a", 2), ("e1", "judge:sphinx", "a", 1)]
    found = measured_rankings(Rankings.from_rows(rows))
    assert list(found["measure"]) == [PEOPLE, PEOPLE, "ranks:judge:sphinx"]
    assert [judge_of(measure) for measure in found["measure"]] == [None, None, "sphinx"]
    assert list(found["value"]) == [-1.0, -2.0, -1.0]
