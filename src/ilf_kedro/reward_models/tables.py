"""Rewards of whole tables of outputs."""

from __future__ import annotations

import math

import pandas as pd

from ilf_kedro.reward_models.protocol import RewardInput, RewardModel
from ilf_kedro.schemas import DataFrame, Examples

__all__ = ["reward_outputs"]


def reward_outputs(
    model: RewardModel,
    examples: DataFrame[Examples],
    outputs: pd.DataFrame,
    *,
    label: str = "rewards",
    of_empty: float = math.nan,
) -> pd.Series:
    """Return the reward of each row's `text`, an output of its `example_id`; shape and index of `outputs`.

    Empty texts are not asked about; their rewards are `of_empty`. What the reward model gives no answer for is null.

    Raises:
        KeyError: an example_id is not among the examples.
    """
    by_id = examples.set_index("example_id", drop=False)
    written = outputs[outputs["text"].str.strip() != ""]
    asked = [
        RewardInput.of(by_id.loc[example_id].to_dict(), text)
        for example_id, text in zip(written["example_id"], written["text"], strict=True)
    ]
    rewards = model.rewards(asked, label=label)
    return pd.Series(rewards, index=written.index, dtype="float64").reindex(outputs.index, fill_value=of_empty)
