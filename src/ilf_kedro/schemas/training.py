"""What is trained on, how it went, and what reward models say."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table


class Targets(Table):
    """What an arm finetunes on: the completion to imitate for each example."""

    example_id: Series[str] = pa.Field(unique=True)
    title: Series[str] = pa.Field(nullable=True)
    post: Series[str]
    target: Series[str]


class TrainingLog(Table):
    """One row per optimiser step of a training.

    Every row repeats how many examples the training had (two per comparison for a reward model), and how
    many of their posts were cut to fit.
    """

    step: Series[int]
    epoch: Series[float]
    loss: Series[float]
    learning_rate: Series[float]
    gradient_norm: Series[float] = pa.Field(nullable=True)
    n_examples: Series[int] = pa.Field(ge=1)
    n_truncated: Series[int] = pa.Field(ge=0)


class TrainingLogs(TrainingLog):
    """The logs of several trainings, told apart by `model`."""

    model: Series[str]


class Rewards(Table):
    """Reward-model scores of summaries: p(Yes), between 0 and 1."""

    example_id: Series[str]
    model: Series[str]
    sample_index: Series[int]
    reward: Series[float] = pa.Field(ge=0, le=1)


class RewardPredictions(Table):
    """The rewards of both summaries of a comparison, and the probability that a is the better one."""

    example_id: Series[str] = pa.Field(unique=True)
    preferred: Series[str] = pa.Field(isin=["a", "b"])
    reward_a: Series[float] = pa.Field(ge=0, le=1)
    reward_b: Series[float] = pa.Field(ge=0, le=1)
    p_a_preferred: Series[float] = pa.Field(ge=0, le=1)


class RewardModelAccuracy(Table):
    """One row: how often the preferred summary of a split got the higher reward (ties count ½).

    `lower` and `upper` are Wilson's interval of `confidence`; `calibration_verdict` says why calibration
    cannot be judged, and is null where it can.
    """

    split: Series[str]
    n_train: Series[int]
    n: Series[int]
    accuracy: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float]
    upper: Series[float]
    confidence: Series[float] = pa.Field(gt=0, lt=1)
    ties: Series[int]
    expected_calibration_error: Series[float]
    calibration_verdict: Series[str] = pa.Field(nullable=True)


class Reliability(Table):
    """A reliability curve: predicted probability against observed frequency, one row per filled bin."""

    p_mean: Series[float]
    observed: Series[float]
    n: Series[int]
