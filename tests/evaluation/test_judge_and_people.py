"""A judge beside people: counts worked out by hand, and win rates corrected by the slice that people ranked."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.judge_and_people import corrected_win_rates, judge_figures
from ilf_kedro.evaluation.prediction_powered import prediction_powered_mean
from ilf_kedro.schemas import DataFrame, Measurements, Verdicts

BOOTSTRAP = Bootstrap(resamples=200)


def rows(measure: str, judged_by: str, gaps: dict[str, float], lengths: tuple[float, float] = (10, 8)) -> list[dict]:
    """An arm a that is worth `gaps` more than b."""
    return [
        {"measure": measure, "judged_by": judged_by, "example_id": example, "arm": arm, "value": value, "length": words}
        for example, gap in gaps.items()
        for arm, value, words in (("a", gap, lengths[0]), ("b", 0.0, lengths[1]))
    ]


def table(*parts: list[dict]) -> DataFrame[Measurements]:
    return Measurements.from_rows([row for part in parts for row in part])


def figures(found: pd.DataFrame) -> dict[str, float]:
    return found.set_index("metric")["value"].to_dict()


def test_agreement_counts_the_same_verdict_on_the_same_two_outputs() -> None:
    judge = rows("judge:j", "judge:j", {"e1": 2.0, "e2": -1.0, "e3": 0.5, "e4": 0.0, "e5": 3.0})
    anna = rows("ranks:people", "human:anna", {"e1": 1.0, "e2": 1.0, "e3": 1.0, "e4": 0.0})
    ben = rows("ranks:people", "human:ben", {"e1": 1.0, "e2": -1.0})
    found = figures(judge_figures(table(anna, ben, judge), BOOTSTRAP))
    assert found["agreement"] == pytest.approx(5 / 6), "anna: e1, e3, e4 of four; ben: both"
    assert found["people_agreement"] == pytest.approx(1 / 2)
    assert found["ties"] == pytest.approx(1 / 5)
    assert found["prefers_longer"] == pytest.approx(3 / 4), "a is the longer; of the tie nothing is counted"
    assert found["people_prefer_longer"] == pytest.approx(4 / 5)


def test_single_verdicts_show_place_contradiction_and_refusal() -> None:
    said = {"e1": (0.9, 0.8), "e2": (0.7, 0.2), "e3": (0.6, 0.9), "e4": (math.nan, 0.5)}
    verdicts = Verdicts.from_rows(
        {
            "example_id": example,
            "model": "a",
            "baseline": "reference",
            "order": order,
            "p_first": p,
            "prefers": "undefined"
            if math.isnan(p)
            else "neither"
            if p == 0.5
            else ("model" if (p > 0.5) == (order == "model_first") else "baseline"),
            "judged_by": "j",
            "covered": 0.8,
        }
        for example, pair in said.items()
        for order, p in zip(("model_first", "baseline_first"), pair, strict=True)
    )
    judge = rows("judge:j", "judge:j", {"e1": 0.4, "e2": 1.1, "e3": -0.9})
    found = figures(judge_figures(table(judge), BOOTSTRAP, verdicts))
    assert found["refuses"] == pytest.approx(1 / 8)
    assert found["prefers_first"] == pytest.approx(5 / 6)
    assert found["contradicts"] == pytest.approx(2 / 3)
    assert found["covered"] == pytest.approx(0.8)
    assert "agreement" not in found


def test_win_rates_are_corrected_by_what_people_ranked_of_the_same_inputs() -> None:
    rng = np.random.default_rng(0)
    odds = {f"e{i}": float(value) for i, value in enumerate(rng.normal(1.5, 1, 60))}  # the judge flatters a
    ranked = {example: float(np.sign(odds[example] - 1.5 + rng.normal(0, 0.5))) for example in list(odds)[:20]}
    measured = table(rows("ranks:people", "human:anna", ranked), rows("judge:j", "judge:j", odds))
    (found,) = corrected_win_rates(measured, BOOTSTRAP).to_dict("records")
    p = {example: expit(value) for example, value in odds.items()}
    labels = np.array([(value + 1) / 2 for value in ranked.values()])
    of_ranked, others = np.array(list(p.values())[:20]), np.array(list(p.values())[20:])
    expected = prediction_powered_mean(labels, of_ranked, others, confidence=0.95)
    assert (found["value"], found["weight"]) == (pytest.approx(expected.estimate.value), pytest.approx(expected.weight))
    assert (found["n"], found["n_judged"], found["judge"]) == (20, 60, "j")
    assert found["by_judge"] == pytest.approx(np.mean([value > 0 for value in odds.values()]))
    assert found["by_people"] == pytest.approx(labels.mean())
    assert found["by_judge"] > 0.85 > 0.75 > found["value"], "people take back what the judge gives away"


def test_without_people_nothing_is_corrected() -> None:
    assert corrected_win_rates(table(rows("judge:j", "judge:j", {"e1": 1.0})), BOOTSTRAP).empty
