"""Where a reward model is right: by the outputs' difference in length, and by the order they are shown in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ilf_kedro.evaluation.intervals import Estimate, standard_error_of_mean, wilson_interval
from ilf_kedro.evaluation.reward_models import answered, better_and_worse
from ilf_kedro.schemas import DataFrame, RewardModelBreakdown, RewardPredictions

__all__ = ["LENGTH_GROUPS", "breakdown"]

LENGTH_GROUPS = {
    "11 or more shorter": (-np.inf, -10.5),
    "4 to 10 shorter": (-10.5, -3.5),
    "within 3 tokens": (-3.5, 3.5),
    "4 to 10 longer": (3.5, 10.5),
    "11 or more longer": (10.5, np.inf),
}
"""The preferred output's length against the other's, in tokens; each group lies between its two bounds."""

_Row = tuple[str, str, Estimate]


def breakdown(predictions: DataFrame[RewardPredictions], *, confidence: float) -> DataFrame[RewardModelBreakdown]:
    """Return shares of comparisons, each with its Wilson interval; a share of none is left out.

    accuracy_by_length: how often the reward model is right, by how much longer the preferred output is.
    longer_preferred: how often people, and how often the reward model, prefer the longer of two outputs of
    unequal length. shown_first: how often the output shown first is preferred, over both orders (an unbiased
    one: ½). same_in_both_orders: how often both orders prefer the same output. The last two are there for
    reward models that see both outputs at once; where p is ½ nothing is preferred, which counts ½.
    """
    predictions = answered(predictions)
    rows = [*_by_length(predictions, confidence), *_longer(predictions, confidence), *_orders(predictions, confidence)]
    table = [
        {
            "measure": measure,
            "group": group,
            "n": estimate.n,
            "share": estimate.value,
            "standard_error": estimate.standard_error,
            "lower": estimate.lower,
            "upper": estimate.upper,
        }
        for measure, group, estimate in rows
    ]
    return RewardModelBreakdown.from_rows(table)


def _by_length(predictions: DataFrame[RewardPredictions], confidence: float) -> Iterator[_Row]:
    right = _won(*better_and_worse(predictions))
    a_longer_by = predictions["n_tokens_a"] - predictions["n_tokens_b"]
    longer_by = a_longer_by.where(predictions["preferred"] == "a", -a_longer_by)
    for group, (low, high) in LENGTH_GROUPS.items():
        inside = (longer_by > low) & (longer_by < high)
        if inside.any():
            yield "accuracy_by_length", group, _estimate(right[inside], confidence)


def _longer(predictions: DataFrame[RewardPredictions], confidence: float) -> Iterator[_Row]:
    some = predictions[predictions["n_tokens_a"] != predictions["n_tokens_b"]]
    if some.empty:
        return
    a_is_longer = some["n_tokens_a"] > some["n_tokens_b"]
    by_people = (some["preferred"] == "a") == a_is_longer
    a_won = _won(some["reward_a"], some["reward_b"])
    yield "longer_preferred", "people", _estimate(by_people.astype(float), confidence)
    yield "longer_preferred", "reward model", _estimate(a_won.where(a_is_longer, 1 - a_won), confidence)


def _orders(predictions: DataFrame[RewardPredictions], confidence: float) -> Iterator[_Row]:
    seen = predictions.dropna(subset=["p_a_shown_first", "p_a_shown_second"])
    if seen.empty:
        return
    even = pd.Series(0.5, index=seen.index)
    first, second = _won(seen["p_a_shown_first"], even), _won(seen["p_a_shown_second"], even)
    # A comparison counts once, with the mean of its two orders: they are not independent.
    yield "shown_first", "both orders", _estimate((first + 1 - second) / 2, confidence)
    yield "same_in_both_orders", "both orders", _estimate(1 - (first - second).abs(), confidence)


def _won(one: pd.Series, other: pd.Series) -> pd.Series:
    """Return 1 where the one is greater, ½ where they are equal, else 0."""
    return (one > other).astype(float) + (one == other) / 2


def _estimate(values: pd.Series, confidence: float) -> Estimate:
    """Return the mean of values between 0 and 1, one per comparison, with Wilson's interval of as many trials."""
    n = len(values)
    share = float(values.mean())
    return Estimate(share, n, standard_error_of_mean(values), *wilson_interval(share, n, 1 - confidence))
