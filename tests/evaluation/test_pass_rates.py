"""pass@k against drawing every set of k samples, and rates counted by hand."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.evaluation.intervals import Bootstrap, share_estimate
from ilf_kedro.evaluation.pass_rates import pass_at_k, pass_rates

BOOTSTRAP = Bootstrap(confidence=0.95, resamples=200, seed=0)
NOBODY = pd.DataFrame(columns=["writer", "chosen_by", "example_id", "score"])


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_at_k_is_the_share_of_all_sets_of_k_with_a_passing_one(passes: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(passes)))
    sets = list(combinations(passes, k))
    assert pass_at_k(len(passes), sum(passes), k) == pytest.approx(sum(map(any, sets)) / len(sets))


@pytest.mark.parametrize(("n", "passed", "k"), [(2, 1, 3), (2, 3, 1), (2, 1, 0), (2, -1, 1)])
def test_impossible_counts_are_refused(n: int, passed: int, k: int) -> None:
    with pytest.raises(ValueError, match=rf"found k = {k}, n = {n}, passed = {passed}"):
        pass_at_k(n, passed, k)


def verified(**scores: list[list[float | None]]) -> pd.DataFrame:
    rows = [
        {"writer": writer, "example_id": f"e{i}", "sample_index": j, "score": score}
        for writer, examples in scores.items()
        for i, own in enumerate(examples)
        for j, score in enumerate(own)
    ]
    return pd.DataFrame(rows).astype({"score": float})


def test_rates_are_means_over_examples_and_undefined_scores_are_left_out() -> None:
    table = verified(a=[[1, 0.5, 0], [0, 0, 0], [1, 1, None]], b=[[1.0]])
    found = pass_rates(table, NOBODY, BOOTSTRAP).set_index(["writer", "metric"])["value"]
    assert found["a", "pass@1"] == pytest.approx((1 / 3 + 0 + 1) / 3)
    assert found["a", "pass@2"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["a", "score"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert found["b", "pass@1"] == 1
    assert ("a", "pass@3") not in found.index, "not every example has three samples"


def test_one_sample_per_example_has_the_interval_of_a_share() -> None:
    table = verified(a=[[1.0], [0.0], [1.0], [0.2]])
    row = pass_rates(table, NOBODY, BOOTSTRAP).iloc[0]
    expected = share_estimate(2, 4, confidence=0.95)
    assert (row["value"], row["lower"], row["upper"]) == (expected.value, expected.lower, expected.upper)


def test_what_a_scorer_chose_is_a_rate_of_its_own() -> None:
    chosen = pd.DataFrame({"writer": "a", "chosen_by": "longest", "example_id": ["x", "y"], "score": [1.0, 0.9]})
    rates = pass_rates(verified(a=[[0.0]]), chosen, BOOTSTRAP)
    assert rates.set_index("chosen_by")["value"]["longest"] == 0.5
