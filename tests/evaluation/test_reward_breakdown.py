"""Where a reward model is right: by length, and by the order in which outputs are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from ilf_kedro.evaluation.reward_breakdown import breakdown
from ilf_kedro.schemas import RewardPredictions

COLUMNS = RewardPredictions.column_names()


def predictions(rows: list[tuple[str, float, float, int, int]], orders: list[tuple[float, float]] | None = None):
    """Rows of (preferred, reward a, reward b, tokens of a, tokens of b)."""
    table = pd.DataFrame(rows, columns=["preferred", "reward_a", "reward_b", "n_tokens_a", "n_tokens_b"])
    table["example_id"] = [f"e{i}" for i in range(len(rows))]
    table["p_a_preferred"] = 0.5
    shown = orders or [(np.nan, np.nan)] * len(rows)
    table["p_a_shown_first"], table["p_a_shown_second"] = zip(*shown, strict=True)
    return RewardPredictions.validate(table[COLUMNS])


def found(table: pd.DataFrame) -> dict[tuple[str, str], tuple[int, float]]:
    rows = breakdown(table, confidence=0.95).to_dict("records")
    return {(row["measure"], row["group"]): (row["n"], row["share"]) for row in rows}


def test_a_reward_model_that_counts_tokens_is_right_where_the_preferred_is_longer() -> None:
    lengths = [(50, 20), (20, 50), (30, 25), (25, 30), (20, 22), (22, 20), (31, 20), (20, 23), (20, 24), (20, 20)]
    # The reward is the length; people prefer a throughout.
    shares = found(predictions([("a", a / 100, b / 100, a, b) for a, b in lengths]))
    assert shares == {
        ("accuracy_by_length", "11 or more shorter"): (1, 0.0),
        ("accuracy_by_length", "4 to 10 shorter"): (2, 0.0),
        ("accuracy_by_length", "within 3 tokens"): (4, pytest.approx((0 + 1 + 0 + 0.5) / 4)),
        ("accuracy_by_length", "4 to 10 longer"): (1, 1.0),
        ("accuracy_by_length", "11 or more longer"): (2, 1.0),
        ("longer_preferred", "people"): (9, pytest.approx(4 / 9)),
        ("longer_preferred", "reward model"): (9, 1.0),
    }


def test_the_letter_of_the_preferred_output_does_not_matter() -> None:
    rows = [("a", 0.9, 0.1, 30, 20), ("a", 0.3, 0.6, 20, 29), ("a", 0.5, 0.5, 20, 21)]
    turned = [("b", b, a, n_b, n_a) for _, a, b, n_a, n_b in rows]
    assert found(predictions(rows)) == found(predictions(turned))


def test_intervals_are_wilsons() -> None:
    table = breakdown(predictions([("a", 0.9, 0.1, 9, 9)] * 3 + [("b", 0.9, 0.1, 9, 9)]), confidence=0.8)
    (row,) = table.to_dict("records")
    assert (row["lower"], row["upper"]) == pytest.approx(proportion_confint(3, 4, alpha=0.2, method="wilson"))
    assert row["standard_error"] == pytest.approx(np.std([1, 1, 1, 0], ddof=1) / 2)


def test_the_share_of_the_first_position_and_the_agreement_of_both_orders() -> None:
    """(p that a is preferred, shown first; shown second): first twice, a twice, b twice, undecided and a."""
    rows = [("a", 0.5, 0.5, 9, 9)] * 4
    shares = found(predictions(rows, [(0.9, 0.2), (0.7, 0.8), (0.1, 0.4), (0.5, 0.9)]))
    first = [1, 0.5, 0.5, (0.5 + 0) / 2]  # the mean over both orders of whether the first shown was preferred
    assert shares["shown_first", "both orders"] == (4, pytest.approx(sum(first) / 4))
    assert shares["same_in_both_orders", "both orders"] == (4, pytest.approx((0 + 1 + 1 + 0.5) / 4))
