"""pass@k against the count of all sets of k samples, and against what sampling gives in the long run."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.evaluation.pass_at_k import pass_at_k, pass_at_k_estimate


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_it_is_the_share_of_sets_of_k_with_one_that_passed(passed: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(passed)))
    sets = list(combinations(passed, k))
    assert pass_at_k(len(passed), sum(passed), k) == pytest.approx(sum(map(any, sets)) / len(sets))


def test_it_is_unbiased() -> None:
    draw = random.Random(0)
    rate, k, n = 0.2, 3, 6
    estimates = [pass_at_k(n, sum(draw.random() < rate for _ in range(n)), k) for _ in range(40_000)]
    assert sum(estimates) / len(estimates) == pytest.approx(1 - (1 - rate) ** k, abs=0.01)


def test_many_samples_overflow_nothing() -> None:
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01)


@pytest.mark.parametrize(("n", "n_passed", "k"), [(3, 1, 4), (3, 4, 1), (3, 1, 0), (0, 0, 1), (3, -1, 1)])
def test_what_cannot_be_is_refused(n: int, n_passed: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@k needs"):
        pass_at_k(n, n_passed, k)


def test_the_estimate_is_over_inputs_with_enough_outcomes() -> None:
    passed = {f"i{n}": [True, False, None] for n in range(20)} | {f"j{n}": [False, False] for n in range(20)}
    passed |= {"broken": [None, None], "few": [True]}
    estimate = pass_at_k_estimate(passed, 2, Bootstrap(seed=1))
    assert estimate is not None
    assert (estimate.value, estimate.n) == (0.5, 40)
    assert estimate.lower is not None
    assert estimate.upper is not None
    assert 0.3 < estimate.lower < 0.5 < estimate.upper < 0.7
    assert pass_at_k_estimate(passed, 3, Bootstrap()) is None
