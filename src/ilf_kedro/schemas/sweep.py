"""The trials of a sweep, and which of them won."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table


class Trials(Table):
    """One training of one arm with one set of options and one seed, what it cost, and how it did.

    Scores are negative log-likelihoods in nats per token on the development split: of the references,
    and of the arm's own kind of targets (null where the split has none). A trial whose loss diverged has
    none. `seconds` are those of the training when it was run; `n_tokens` what it saw over all epochs.
    """

    arm: Series[str]
    trial: Series[int] = pa.Field(ge=0)
    factor: Series[str] = pa.Field(description="what differs from the first trial; grid: everything may")
    seed: Series[int]
    train_size: Series[int]
    epochs: Series[int]
    prompt_loss_weight: Series[float]
    learning_rate_multiplier: Series[float]
    status: Series[str] = pa.Field(isin=["finished", "diverged"])
    n_examples: Series[int]
    n_steps: Series[int]
    n_tokens: Series[int]
    seconds: Series[float]
    final_loss: Series[float] = pa.Field(nullable=True)
    n_development: Series[int]
    nll_references: Series[float] = pa.Field(nullable=True)
    standard_error: Series[float] = pa.Field(nullable=True, description="of nll_references")
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    nll_own_targets: Series[float] = pa.Field(nullable=True)
    training: Series[str] = pa.Field(description="content hash of the training; empty where it diverged")

    class Config:
        unique = ["arm", "trial", "seed"]


class SweepWinners(Table):
    """The options that did best on the development split, one row per arm; `score` is the mean over seeds.

    `runner_up_difference` is the second-best trial's score less the winner's, with its interval over examples.
    """

    arm: Series[str] = pa.Field(unique=True)
    train_size: Series[int]
    trial: Series[int]
    epochs: Series[int]
    prompt_loss_weight: Series[float]
    learning_rate_multiplier: Series[float]
    chosen_by: Series[str]
    score: Series[float]
    n_trials: Series[int]
    n_diverged: Series[int]
    n_steps: Series[int] = pa.Field(description="optimiser steps of all its trials")
