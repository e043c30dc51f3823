"""What the words were worth: means and paired differences against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ilf_kedro.evaluation.control_metrics import control_metrics
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.schemas import PointScores, Scores

REAL, SHUFFLED, WITHOUT = (
    "refinement_with_feedback",
    "refinement_with_shuffled_feedback",
    "refinement_without_feedback",
)
BOOTSTRAP = Bootstrap(resamples=300)


def tables(ensemble: dict[str, dict[str, list[float]]], points: dict[str, dict[str, list[list[float]]]]):
    """Return scores and point scores from method → example → samples (→ points)."""
    scores = [
        (example, method, sample, scorer, value if scorer != "longest" else 10.0 * (sample + 1))
        for method, by_example in ensemble.items()
        for example, values in by_example.items()
        for sample, value in enumerate(values)
        for scorer in ("instruct_rm_ensemble", "longest", "random")
    ]
    asked = [
        (example, method, sample, place, value)
        for method, by_example in points.items()
        for example, samples in by_example.items()
        for sample, values in enumerate(samples)
        for place, value in enumerate(values)
    ]
    columns = ["example_id", "method", "sample_index"]
    return (
        Scores.validate(pd.DataFrame(scores, columns=[*columns, "scorer", "score"])),
        PointScores.validate(pd.DataFrame(asked, columns=[*columns, "point_index", "score"])),
    )


def figures(metrics: pd.DataFrame, method: str, metric: str, baseline: str | None = None) -> pd.Series:
    same = metrics["baseline"].isna() if baseline is None else metrics["baseline"] == baseline
    (place,) = metrics.index[(metrics["method"] == method) & (metrics["metric"] == metric) & same]
    return metrics.loc[place]


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    nan = math.nan
    ensemble = {
        REAL: {"a": [0.2, 0.4], "b": [0.9, nan], "c": [0.5, 0.7]},
        SHUFFLED: {"a": [0.3, 0.1], "b": [0.5, 0.5], "c": [0.6, 0.6]},
        WITHOUT: {"a": [0.1, 0.1], "b": [0.4, 0.4], "c": [nan, nan]},
    }
    points = {
        REAL: {"a": [[0.9, 0.2], [0.6, 0.5]], "b": [[0.8], [nan]], "c": [[0.1, 0.9], [0.9, 0.9]]},
        WITHOUT: {"a": [[0.1, 0.2], [0.6, 0.4]], "b": [[0.2], [0.3]], "c": [[0.1, 0.1], [0.1, 0.9]]},
    }
    return control_metrics(*tables(ensemble, points), BOOTSTRAP)


def test_means_are_over_examples_of_means_over_their_defined_refinements(metrics: pd.DataFrame) -> None:
    real = figures(metrics, REAL, "instruct_rm_ensemble")
    assert real["value"] == pytest.approx((0.3 + 0.9 + 0.6) / 3)
    assert real["standard_error"] == pytest.approx(stats.sem([0.3, 0.9, 0.6]))
    assert figures(metrics, REAL, "instruct_rm_chosen")["value"] == pytest.approx((0.4 + 0.9 + 0.7) / 3)
    assert figures(metrics, REAL, "length_tokens")["value"] == pytest.approx(15)
    without = figures(metrics, WITHOUT, "instruct_rm_ensemble")
    assert (without["n"], without["value"]) == (2, pytest.approx(0.25))


def test_points_are_shares_of_each_refinement_first(metrics: pd.DataFrame) -> None:
    # a: (½ + ½) ÷ 2, a p of exactly ½ is not above it; b: its one defined answer; c: (½ + 1) ÷ 2
    assert figures(metrics, REAL, "points_incorporated")["value"] == pytest.approx((0.5 + 1 + 0.75) / 3)
    assert figures(metrics, REAL, "points_probability")["value"] == pytest.approx((0.55 + 0.8 + 0.7) / 3)


def test_differences_are_paired_by_example(metrics: pd.DataFrame) -> None:
    against_none = figures(metrics, REAL, "instruct_rm_ensemble", WITHOUT)
    assert (against_none["n"], against_none["value"]) == (2, pytest.approx((0.2 + 0.5) / 2))
    against_shuffled = figures(metrics, REAL, "instruct_rm_ensemble", SHUFFLED)
    assert against_shuffled["value"] == pytest.approx((0.1 + 0.4 + 0.0) / 3)
    assert against_shuffled["standard_error"] == pytest.approx(stats.sem([0.1, 0.4, 0.0]))
    assert metrics[(metrics["method"] == SHUFFLED) & (metrics["metric"] == "points_incorporated")].empty


def test_a_gain_that_every_example_has_lies_within_an_interval_above_zero() -> None:
    generator = np.random.default_rng(0)
    base = {f"e{i}": list(generator.uniform(0.2, 0.6, 3)) for i in range(40)}
    gain = {name: [value + generator.uniform(0.02, 0.1) for value in values] for name, values in base.items()}
    point = {name: [[0.5]] for name in base}
    found = figures(
        control_metrics(*tables({REAL: gain, WITHOUT: base}, {REAL: point, WITHOUT: point}), BOOTSTRAP),
        REAL,
        "instruct_rm_ensemble",
        WITHOUT,
    )
    assert 0 < found["lower"] < found["value"] == pytest.approx(0.06, abs=0.01)
    assert found["upper"] < 0.1
