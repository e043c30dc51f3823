"""What the pipeline analysis measures: likelihoods of each arm's own targets, and divergences from the base model."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates, Table
from ilf_kedro.schemas.examples import WithInputs


class ArmTargets(WithInputs):
    """Each arm's own kind of target on a held-out split: what it would have been trained on, had it been there."""

    arm: Series[str]
    example_id: Series[str]
    target: Series[str]

    class Config(WithInputs.Config):
        unique = ["arm", "example_id"]


class MissingTargets(Table):
    """For how many of a split's `n` examples an arm has no target of its own kind, and why."""

    arm: Series[str]
    split: Series[str]
    n: Series[int] = pa.Field(ge=0)
    n_missing: Series[int] = pa.Field(ge=1)
    reason: Series[str]


class TargetLogLikelihoods(Table):
    """Summed log-probability (nats) and token count of an arm's target under a model.

    The end-of-sequence token is not counted. `train_size` is that of the targets where the split is train.
    """

    model: Series[str]
    arm: Series[str]
    split: Series[str]
    train_size: Series[float] = pa.Field(nullable=True)
    example_id: Series[str]
    log_likelihood: Series[float]
    n_tokens: Series[int] = pa.Field(gt=0)


class TargetLikelihoods(Estimates):
    """One figure of one model on one arm's targets, with its error and interval over examples.

    `metric` is nll_per_token (nats), perplexity, or nll_minus_base (nats per token less the base model's on the
    same texts, paired by example).
    """

    model: Series[str]
    arm: Series[str]
    split: Series[str]
    train_size: Series[float] = pa.Field(nullable=True)
    metric: Series[str] = pa.Field(isin=["nll_per_token", "perplexity", "nll_minus_base"])


_CONDITIONS = ["test_inputs", "unconditional"]
_DIRECTIONS = ["forward", "backward"]


class DivergenceSamples(Table):
    """One row per sample from which a divergence is estimated.

    forward is KL(base‖finetuned), from the base model's samples; backward is KL(finetuned‖base), from the
    finetuned model's. `log_ratio` and `controlled` are two unbiased terms (nats, over the whole sequence);
    `n_tokens` counts the end-of-sequence token where the sample `ended`; `discrepancy` (nats) is how far the
    log-probabilities at drawing were from those at scoring.
    """

    model: Series[str]
    condition: Series[str] = pa.Field(isin=_CONDITIONS)
    direction: Series[str] = pa.Field(isin=_DIRECTIONS)
    example_id: Series[str]
    sample_index: Series[int] = pa.Field(ge=0)
    n_tokens: Series[int] = pa.Field(gt=0)
    ended: Series[bool]
    log_ratio: Series[float]
    controlled: Series[float] = pa.Field(ge=0)
    discrepancy: Series[float]

    class Config:
        unique = ["model", "condition", "direction", "example_id", "sample_index"]


class Divergences(Table):
    """Estimated divergences, with the error over inputs (or unconditional samples) and that of sampling alone.

    `discrepancy` is the mean over samples of DivergenceSamples.discrepancy, in nats per sequence.
    """

    model: Series[str]
    condition: Series[str] = pa.Field(isin=_CONDITIONS)
    direction: Series[str] = pa.Field(isin=_DIRECTIONS)
    estimator: Series[str] = pa.Field(isin=["log_ratio", "controlled"])
    unit: Series[str] = pa.Field(isin=["nats_per_sequence", "nats_per_token"])
    n: Series[int]
    n_samples: Series[int]
    value: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    monte_carlo_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    note: Series[str] = pa.Field(nullable=True)
    discrepancy: Series[float]

    class Config:
        unique = ["model", "condition", "direction", "estimator", "unit"]
