"""Inputs at the edge of what data can say, each with the sentence that is true of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.evaluation.contests import contests
from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate, mean_share_estimate
from ilf_kedro.evaluation.recommendation import recommend
from ilf_kedro.evaluation.win_rates import ConsistentVerdicts, judge_agreement
from ilf_kedro.pipelines.reporting import findings
from ilf_kedro.pipelines.tournament.verdict import recommendation_sentence
from ilf_kedro.schemas import ModelMetrics, Verdicts

BOOTSTRAP = Bootstrap(resamples=200)
NO_VERDICTS = ConsistentVerdicts(0, 0, 0, 0)


def judged(n: int, p_first: Callable[[int, str], float]) -> str:
    """What is said of a judge that gives the output shown first this probability, on n inputs of one model."""
    rows = []
    for number in range(n):
        for order, first, second in (("model_first", "model", "baseline"), ("baseline_first", "baseline", "model")):
            p = p_first(number, order)
            prefers = "undefined" if math.isnan(p) else "neither" if p == 0.5 else first if p > 0.5 else second
            rows.append([f"e{number}", "finetune.base", "reference", "J", order, p, prefers, 1.0])
    columns = ["example_id", "model", "baseline", "judged_by", "order", "p_first", "prefers", "covered"]
    verdicts = Verdicts.validate(pd.DataFrame(rows, columns=columns))
    return findings.judge_sentence(judge_agreement(verdicts, confidence=0.95), NO_VERDICTS, 0.95)


@pytest.mark.parametrize(
    ("n", "p_first", "said"),
    [
        (12, lambda _, order: 0.9, "cannot tell the models apart: asked in both orders, the language model J kept to"),
        (12, lambda _, order: 0.9, "verdict for 0 of 12 pairs"),
        (12, lambda _, order: 0.5, "verdict for 0 of 12 pairs"),
        (1, lambda _, order: 0.9 if order == "model_first" else 0.1, "It is not known whether this judge can tell"),
        (3, lambda _, order: 0.9 if order == "model_first" else 0.1, "3 of 3 pairs"),
        (40, lambda _, order: 0.9 if order == "model_first" else 0.1, "more often than a coin"),
        (12, lambda _, order: math.nan, "gave no verdict on any of 12 pairs"),
    ],
    ids=["always A", "always A counted", "all ties", "n = 1", "3 of 3", "consistent", "refuses"],
)
def test_of_a_judge(n: int, p_first: Callable[[int, str], float], said: str) -> None:
    sentence = judged(n, p_first)
    assert said in sentence
    assert "judge" in sentence.lower()
    assert ("win rate" not in sentence) or ("judge's win rate" in sentence) or ("There are no win rates" in sentence)


def test_of_no_judge_at_all() -> None:
    none = judge_agreement(Verdicts.from_rows([]), confidence=0.95)
    assert findings.judge_sentence(none, NO_VERDICTS, 0.95) == "No outputs were judged, so the judge has no win rates."


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([0.3], "one example: no interval"),
        ([0.3, 0.6, 0.4], "too few for an interval: 3 examples, and it takes 5"),
        ([0.3] * 12, "all 12 alike: no interval"),
        ([0.5] * 12, "all 12 alike: no interval"),
    ],
    ids=["n = 1", "n = 3", "zero spread", "all ties"],
)
def test_of_a_mean_without_an_interval(values: list[float], note: str) -> None:
    for estimate in (mean_estimate(values, BOOTSTRAP), mean_share_estimate(values, BOOTSTRAP)):
        assert (estimate.lower, estimate.upper, estimate.note) == (None, None, note)


def test_of_a_win_rate_of_1() -> None:
    estimate: Estimate = mean_share_estimate([1.0] * 4, BOOTSTRAP)
    assert estimate.standard_error is None
    assert estimate.lower == pytest.approx(0.5101, abs=1e-4)  # 4 / (4 + 1.96²): far from certain
    assert estimate.note == "all 4 alike: the error is unknown, not 0"


@pytest.mark.parametrize(
    ("wins", "said"),
    [
        ({"a": [0.875] * 2, "longest": [0.125] * 2}, "the difference of 0.75 was the same in every example, so"),
        ({"a": [0.9, 0.1, 0.5], "longest": [0.1, 0.9, 0.5]}, "for both did equally well"),
        ({"a": [0.9, 0.6, 0.8], "longest": [0.2, 0.4, 0.3]}, "more rankings would tell"),
    ],
    ids=["zero spread", "no difference", "few"],
)
def test_of_scorers_that_are_not_told_apart(wins: dict[str, list[float]], said: str) -> None:
    table = pd.DataFrame(wins)
    found = recommend(contests(table, BOOTSTRAP), confidence=0.95)
    assert said in recommendation_sentence(found, float(table["a"].mean()))


@pytest.mark.parametrize(
    ("lower", "upper", "n", "said"),
    [
        (None, None, 1, "−0.010 on 8 refinements (no interval)"),
        (-0.0002, 0.0003, 12, "(less than 0.001 in either direction)"),
        (-0.02, 0.004, 12, "(−0.020 to +0.004, no clear change)"),
    ],
    ids=["n = 1", "nothing to see", "not clear"],
)
def test_of_a_change(lower: float | None, upper: float | None, n: int, said: str) -> None:
    row = {"model": "finetune.refinements.n8", "metric": "nll_minus_base", "n": n, "value": -0.01, "note": None}
    table = ModelMetrics.from_rows([row | {"standard_error": np.nan, "lower": lower, "upper": upper}])
    assert said in findings.likelihood_sentence(table, (), 0.95)


def test_of_an_arm_that_was_not_measured() -> None:
    assert findings.likelihood_sentence(ModelMetrics.from_rows([]), (), 0.95) == ""
