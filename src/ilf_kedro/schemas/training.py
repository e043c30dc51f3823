"""What is trained on, how it went, and what reward models say."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table
from ilf_kedro.schemas.examples import WithInputs


class Targets(WithInputs):
    """What an arm finetunes on: the completion to imitate for each example, or several of them.

    A column for each input stands beside these; `initial_output` and `feedback` are there where the arm's prompt
    shows them.
    """

    example_id: Series[str]
    initial_output: Series[str] | None
    feedback: Series[str] | None
    target: Series[str]

    class Config(WithInputs.Config):
        unique = ["example_id", "target"]


class TrainingLog(Table):
    """One row per optimiser step of a training.

    Every row repeats how many examples the training had (two per comparison for a reward model), and how
    many of their inputs were truncated to fit.
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
    """A reward model's rewards of outputs, between 0 and 1, null for no answer; `model` is who wrote them."""

    example_id: Series[str]
    model: Series[str]
    sample_index: Series[int]
    reward: Series[float] = pa.Field(ge=0, le=1, nullable=True)


class RewardPredictions(Table):
    """The rewards of both outputs of a comparison, and the probability that a is the better one; null: no answer.

    `p_a_shown_first` and `p_a_shown_second` are that probability in either order, where a reward model sees
    both outputs at once; null where it reads each alone. `n_tokens_a` and `n_tokens_b` are their lengths.
    """

    example_id: Series[str] = pa.Field(unique=True)
    preferred: Series[str] = pa.Field(isin=["a", "b"])
    reward_a: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    reward_b: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    p_a_preferred: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    p_a_shown_first: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    p_a_shown_second: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    n_tokens_a: Series[int] = pa.Field(ge=0)
    n_tokens_b: Series[int] = pa.Field(ge=0)


class RewardModelAccuracy(Table):
    """One row: how often the preferred output of a split got the higher reward (ties count ½).

    `n_undefined` comparisons are not among the n: the reward model gave no answer for them.
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
    n_undefined: Series[int]
    expected_calibration_error: Series[float]
    calibration_error_if_calibrated: Series[float] | None
    calibration_verdict: Series[str] = pa.Field(nullable=True)


class RewardModelBreakdown(Table):
    """Shares of a reward model's comparisons, each of a measure and group, with Wilson's interval."""

    measure: Series[str]
    group: Series[str]
    n: Series[int] = pa.Field(ge=1)
    share: Series[float] = pa.Field(ge=0, le=1)
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float]
    upper: Series[float]

    class Config:
        unique = ["measure", "group"]


class RewardModelAccuracies(RewardModelAccuracy):
    """The accuracies of several reward models, told apart by kind and train size."""

    kind: Series[str]


class RewardModelBreakdowns(RewardModelBreakdown):
    """The breakdowns of several reward models, told apart by kind and train size."""

    kind: Series[str]
    n_train: Series[int]

    class Config:
        unique = ["kind", "n_train", "measure", "group"]


class BestOfN(Table):
    """One figure of the best of n candidates, over inputs, for n from 1 to N.

    `metric` is reward or rouge_l of the candidate with the highest reward (a verifier's or judge's score, where one of
    these chooses) of n drawn from the N (n is 1 to N), or human_rank, the reference's place among itself and the N
    (n is N). `kl_bound` bounds the divergence from the sampler, in nats.
    """

    metric: Series[str]
    n: Series[int] = pa.Field(ge=1)
    kl_bound: Series[float] = pa.Field(ge=0)
    n_inputs: Series[int] = pa.Field(ge=1)
    value: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["metric", "n"]


class Reliability(Table):
    """A reliability curve: predicted probability against observed frequency, one row per filled bin."""

    p_mean: Series[float]
    observed: Series[float]
    n: Series[int]
