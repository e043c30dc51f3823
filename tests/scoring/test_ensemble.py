"""Ensembles against scipy's z-scores and ranks, and what becomes of undefined members."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from ilf_kedro.schemas import Refinements, Scores, UserError
from ilf_kedro.scoring import EnsembleOptions, ensemble_scores
from ilf_kedro.scoring.tables import score_table
from tests.support.example_tables import refinements

NAN = math.nan
TABLE = refinements({"a": ["one", "two", "three", "four"], "b": ["one", "two", "three"]})
FIRST = [0.1, 0.9, 0.4, 0.4, 5.0, 6.0, 9.0]
SECOND = [30.0, 20.0, 10.0, 40.0, 1.0, 1.0, 1.0]


def scores(**members: list[float]) -> pd.DataFrame:
    return Scores.validate(pd.concat([score_table(TABLE, name, values) for name, values in members.items()]))


def ensemble(table: pd.DataFrame, by: str = "z_score", **weights: float) -> list[float]:
    made = ensemble_scores(TABLE, [EnsembleOptions(name="e", by=by, weights=weights)], table)
    assert set(made["scorer"]) == {"ensemble_e"}
    return list(made["score"])


def test_z_scores_are_scipys_within_each_example() -> None:
    first = np.concatenate([stats.zscore(FIRST[:4]), stats.zscore(FIRST[4:])])
    second = np.concatenate([stats.zscore(SECOND[:4]), np.zeros(3)])  # all alike in b: z is 0
    expected = (3 * first - second) / 4
    assert ensemble(scores(first=FIRST, second=SECOND), first=3.0, second=-1.0) == pytest.approx(list(expected))


def test_ranks_are_scipys_within_each_example() -> None:
    first = np.concatenate([stats.rankdata(FIRST[:4]), stats.rankdata(FIRST[4:])])
    second = np.concatenate([stats.rankdata(SECOND[:4]), stats.rankdata(SECOND[4:])])
    expected = (first + 2 * second) / 3
    assert ensemble(scores(first=FIRST, second=SECOND), "rank", first=1.0, second=2.0) == pytest.approx(list(expected))


@pytest.mark.parametrize("by", ["z_score", "rank"])
def test_an_undefined_member_makes_the_ensemble_undefined_and_no_other_score(by: str) -> None:
    holed = [NAN if place == 1 else value for place, value in enumerate(FIRST)]
    made = ensemble(scores(first=holed, second=SECOND), by, first=1.0, second=1.0)
    way = stats.zscore if by == "z_score" else stats.rankdata
    first = way(np.delete(FIRST[:4], 1))
    second = np.delete(way(SECOND[:4]), 1)
    assert math.isnan(made[1])
    assert np.delete(made[:4], 1) == pytest.approx((first + second) / 2)
    assert not any(map(math.isnan, made[4:]))


def test_a_member_without_any_score_leaves_nothing() -> None:
    made = ensemble(scores(first=FIRST, second=[NAN] * 4 + SECOND[4:]), first=1.0, second=1.0)
    assert [math.isnan(value) for value in made] == [True] * 4 + [False] * 3


def test_methods_of_one_example_are_compared_apart() -> None:
    other = refinements({"a": ["x", "y"]}, "refinement_without_feedback")
    both = Refinements.validate(pd.concat([refinements({"a": ["x", "y"]}), other]))
    table = score_table(both, "s", [1.0, 2.0, 100.0, 50.0])
    made = ensemble_scores(both, [EnsembleOptions(name="e", weights={"s": 1.0})], table)
    assert list(made["score"]) == [-1.0, 1.0, 1.0, -1.0]


def test_sums_that_differ_by_rounding_alone_tie() -> None:
    swapped = [0.1, 0.2, 0.3, 0.7, 0.0, 0.0, 0.0]
    table = scores(first=swapped, second=[0.2, 0.1, 0.3, 0.7, 0.0, 0.0, 0.0])
    made = ensemble(table, first=1.0, second=1.0)
    assert made[0] == made[1]


def test_members_that_were_not_scored_are_named_all_at_once() -> None:
    options = [EnsembleOptions(name="x", weights={"lost": 1.0}), EnsembleOptions(name="y", weights={"gone": 1.0})]
    with pytest.raises(UserError, match=r"x: lost, y: gone.*the scores are first"):
        ensemble_scores(TABLE, options, scores(first=FIRST))


@pytest.mark.parametrize("wrong", [{"weights": {}}, {"weights": {"a": 0.0}}, {"name": "a b"}, {"by": "mean"}])
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EnsembleOptions.model_validate({"name": "e", "weights": {"a": 1.0}, **wrong})


@settings(max_examples=15)
@given(
    st.lists(st.integers(-3, 3), min_size=2, max_size=6),
    st.floats(0.01, 100),
    st.floats(-100, 100),
    st.sampled_from(["z_score", "rank"]),
)
def test_the_scale_of_a_member_changes_nothing(values: list[int], factor: float, shift: float, by: str) -> None:
    table = refinements({"a": [f"text {place}" for place in range(len(values))]})
    options = [EnsembleOptions(name="e", by=by, weights={"s": 2.0})]
    plain, scaled = (
        ensemble_scores(table, options, score_table(table, "s", list(each)))["score"].to_numpy()
        for each in ([float(value) for value in values], [factor * value + shift for value in values])
    )
    np.testing.assert_allclose(plain, scaled, atol=1e-6)
    if by == "rank":
        np.testing.assert_allclose(plain, stats.rankdata(values))
