"""Re-sampling against the reference implementation's choices, and against any draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.prompting import classify_draws, is_degenerate, keep_best_draws

CASES = json.loads((Path(__file__).parents[1] / "reference" / "method_cases.json").read_text("utf-8"))["resample"]


@pytest.mark.parametrize("case", CASES)
def test_equals_the_references_first_n(case: dict) -> None:
    forbidden = tuple(case["forbidden"] or ())
    for initial, extra, expected in zip(case["initial"], case["extra"], case["expected"], strict=True):
        draws = initial + extra if is_degenerate(initial, forbidden) else initial
        kept = [draws[draw.draw_index] for draw in keep_best_draws(draws, case["n"], forbidden)]
        assert kept == expected[: case["n"]]


@given(st.lists(st.sampled_from(["", "a", "b", "c", "bad a"]), min_size=3, max_size=9))
def test_exactly_n_and_never_a_worse_draw_before_a_better_one(draws: list[str]) -> None:
    kept = keep_best_draws(draws, 3, ["BAD"])
    assert len({draw.draw_index for draw in kept}) == 3
    rank = {"unique": 0, "duplicate": 1, "forbidden": 2, "empty": 2}
    ranks = [rank[draw.status] for draw in kept]
    assert ranks == sorted(ranks)
    all_ranks = sorted(rank[status] for status in classify_draws(draws, ["BAD"]))
    assert ranks == all_ranks[:3]


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="3 outputs are wanted, but only 2"):
        keep_best_draws(["a", "b"], 3)
