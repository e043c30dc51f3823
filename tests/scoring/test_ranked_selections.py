"""The k best of each scorer, undefined scores, and rankings that do not depend on the order of the rows."""

from __future__ import annotations

import logging
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.schemas import Refinements, Scores
from ilf_kedro.scoring import count_undefined, select_best, select_top, template_disagreement
from ilf_kedro.scoring.tables import score_table
from tests.support.example_tables import refinements

VALUES = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=6)


def scored(values: list[float | None], scorer: str = "s") -> tuple[pd.DataFrame, pd.DataFrame]:
    table = refinements({"a": [f"text {place}" for place in range(len(values))]})
    return table, score_table(table, scorer, values)


@settings(max_examples=15)
@given(VALUES, st.integers(1, 7))
def test_ranks_follow_scores_then_samples_and_the_first_is_the_choice(values: list[float | None], k: int) -> None:
    table, scores = scored(values)
    top = select_top(scores, table, k)
    order = sorted(range(len(values)), key=lambda i: (values[i] is None, -(values[i] or 0.0), i))[:k]
    assert list(top["sample_index"]) == order
    assert list(top["rank"]) == list(range(1, len(order) + 1))
    assert list(top["text"]) == [f"text {i}" for i in order]
    assert top["sample_index"][0] == select_best(scores, table)["sample_index"][0]


@settings(max_examples=15)
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_choice(values: list[float | None], random) -> None:
    table, scores = scored(values)
    places = list(range(len(scores)))
    random.shuffle(places)
    shuffled = scores.iloc[places].reset_index(drop=True)
    for select in (select_best, lambda scores, table: select_top(scores, table, 3)):
        pd.testing.assert_frame_equal(select(scores, table), select(shuffled, table))


def test_every_scorer_method_and_example_is_ranked_by_itself() -> None:
    one = refinements({"a": ["x", "y"], "b": ["z"]})
    other = refinements({"a": ["v", "w"]}, "refinement_without_feedback")
    table = Refinements.validate(pd.concat([one, other], ignore_index=True))
    ups, downs = score_table(table, "up", [1, 2, 3, 4, 5]), score_table(table, "down", [5, 4, 3, 2, 1])
    top = select_top(Scores.validate(pd.concat([ups, downs])), table, 2)
    texts = top.groupby(["scorer", "method", "example_id"])["text"].agg("".join)
    assert texts["up", "refinement_with_feedback", "a"] == "yx"
    assert texts["up", "refinement_without_feedback", "a"] == "wv"
    assert texts["down", "refinement_with_feedback", "a"] == "xy"
    assert texts["down", "refinement_with_feedback", "b"] == "z"
    assert len(top) == 10


def test_undefined_scores_are_counted_and_those_of_texts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    table = refinements({"a": ["x", "", "y"], "b": ["z", "", ""]})
    scores = Scores.validate(
        pd.concat([score_table(table, "s", [1.0, 2.0, None, 3.0, None, None]), score_table(table, "t", [1.0] * 6)])
    )
    with caplog.at_level(logging.WARNING):
        counts = count_undefined(scores, table).set_index("scorer")[["n", "n_undefined", "n_empty"]]
    assert counts.loc["s"].to_list() == [6, 4, 3]
    assert counts.loc["t"].to_list() == [6, 3, 3]
    (message,) = caplog.messages
    assert message.startswith("1 of 6 scores by s are undefined though the refinement (refinement_with_feedback)")


def test_disagreement_is_the_templates_standard_deviation() -> None:
    table = refinements({"a": ["x", "y", ""]})
    one = [[0.2, 0.5, None], [0.4, None, None], [0.9, 0.5, None]]
    tables = [score_table(table, f"instruct_rm_{number}", values) for number, values in enumerate(one, start=1)]
    tables.append(score_table(table, "instruct_rm_ensemble", [0.5, None, None]))
    found = template_disagreement(Scores.validate(pd.concat(tables)))
    # by hand: deviations −0.3, −0.1, 0.4 of the mean 0.5, over n − 1 = 2
    assert found["disagreement"][0] == pytest.approx(math.sqrt((0.09 + 0.01 + 0.16) / 2))
    assert found["score"][0] == 0.5
    assert found["disagreement"][1:].isna().all()
