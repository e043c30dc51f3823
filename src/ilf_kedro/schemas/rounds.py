"""Rounds of feedback, refinement and finetuning: whose feedback on whose outputs, and how the models did."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates, Table
from ilf_kedro.schemas.examples import Examples
from ilf_kedro.schemas.training import Targets

FEEDBACK_SOURCE = r"^(data|human|(model|function):.+)$"


class RoundExamples(Examples):
    """The examples of one round: the initial output that the feedback is on, by whom, and who gave the feedback.

    `feedback_source` is "data" (the split's own feedback, on the split's own outputs), "human" (a file that
    people filled in), "model:<name>" or "function:<name>".
    """

    round: Series[int] = pa.Field(ge=0)
    output_by: Series[str]
    feedback_source: Series[str] = pa.Field(str_matches=FEEDBACK_SOURCE)


class RoundTargets(Targets):
    """What a round's model learns to write, and who gave the feedback behind it."""

    round: Series[int] = pa.Field(ge=0)
    feedback_source: Series[str] = pa.Field(str_matches=FEEDBACK_SOURCE)


class RoundModels(Table):
    """How each model of the rounds came to be, one row per model.

    `mode` is "one_round", "continue" or "from_scratch"; `train_size` the number of examples of all its rounds,
    `n_targets` how many of them had something to imitate, `n_steps` the optimiser steps of all its trainings;
    `feedback_source` names the sources of its feedback, joined by ", ".
    """

    model: Series[str] = pa.Field(unique=True)
    mode: Series[str] = pa.Field(isin=["one_round", "continue", "from_scratch"])
    round: Series[int]
    train_size: Series[int]
    n_targets: Series[int]
    n_steps: Series[int]
    feedback_source: Series[str]


class RoundMetrics(Estimates):
    """One figure of one model of the rounds on the test inputs.

    A metric that ends in "_minus_one_round" is the difference from the one-round model of the same train size,
    paired by input. `feedback_source` is the model's.
    """

    model: Series[str]
    feedback_source: Series[str]
    metric: Series[str]

    class Config:
        unique = ["model", "metric"]
