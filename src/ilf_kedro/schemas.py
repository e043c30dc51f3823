"""The tables that flow between nodes, and the base class of all options.

Every table is long ("tidy"): one row per (example_id, sample_index), never a column per sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandera.pandas as pa
from pandera.typing import DataFrame, Series
from pydantic import BaseModel, ConfigDict

__all__ = [
    "Comparisons",
    "DataFrame",
    "Examples",
    "JudgeAgreement",
    "LogLikelihoods",
    "ModelMetrics",
    "Options",
    "Outcomes",
    "PublishedResults",
    "Rankings",
    "RawLines",
    "RefinementMetrics",
    "Refinements",
    "RejectedRows",
    "Reliability",
    "RewardModelAccuracy",
    "RewardPredictions",
    "Rewards",
    "ScorerAgreement",
    "Scores",
    "Selections",
    "Split",
    "Subsets",
    "Summaries",
    "Targets",
    "TextStatistics",
    "TrainingLog",
    "TrainingLogs",
    "Verdicts",
    "WinRates",
    "text_or_empty",
]

Split = Literal["train", "development", "validation", "test"]


def text_or_empty(value: object) -> str:
    """Return a text cell's value, and the empty text for a null one (tables hold nulls as nan)."""
    return value if isinstance(value, str) else ""


class Options(BaseModel):
    """Base of every options model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class RawLines:
    """A raw text file as it is, before anything in it is validated.

    `file` names it in messages; `lines` has no line ends, and its first is line 1 of the file.
    """

    file: str
    lines: tuple[str, ...]


class _Table(pa.DataFrameModel):
    """Base of every table: no unknown columns, values coerced to the declared types."""

    class Config:
        strict = True
        coerce = True


class Examples(_Table):
    """One row per validated example of a split, in file order.

    Columns that the source lacks are present and null; `position` counts from 0 in file order, so
    that nested subsets are prefixes of it.
    """

    example_id: Series[str] = pa.Field(unique=True)
    split: Series[str] = pa.Field(isin=["train", "development", "validation", "test"])
    position: Series[int] = pa.Field(ge=0)
    subreddit: Series[str] = pa.Field(nullable=True)
    title: Series[str] = pa.Field(nullable=True)
    post: Series[str]
    reference_summary: Series[str] = pa.Field(nullable=True)
    human_summary: Series[str] = pa.Field(nullable=True)
    initial_summary: Series[str] = pa.Field(nullable=True)
    feedback: Series[str] = pa.Field(nullable=True)
    feedback_class: Series[str] = pa.Field(nullable=True)
    seconds_feedback: Series[float] = pa.Field(nullable=True)
    seconds_human_summary: Series[float] = pa.Field(nullable=True)
    seconds_comparison: Series[float] = pa.Field(nullable=True)


class Comparisons(_Table):
    """Binary comparisons: which of two summaries of one post was preferred."""

    example_id: Series[str] = pa.Field(unique=True)
    split: Series[str]
    position: Series[int]
    title: Series[str] = pa.Field(nullable=True)
    post: Series[str]
    summary_a: Series[str]
    summary_b: Series[str]
    preferred: Series[str] = pa.Field(isin=["a", "b"])


class RejectedRows(_Table):
    """Faults found in the raw files; one row per fault."""

    file: Series[str]
    row: Series[int] = pa.Field(ge=0, description="line number from 1; 0 for the whole file")
    column: Series[str] = pa.Field(nullable=True)
    found: Series[str]
    expected: Series[str]
    raw: Series[str] = pa.Field(nullable=True, description="the rejected line")


class Subsets(_Table):
    """Nested training subsets: the first `train_size` examples of the train split."""

    train_size: Series[int]
    example_id: Series[str]


class TextStatistics(_Table):
    """Tokens (or seconds) of one text column of one split: count, mean, standard error, quantiles."""

    split: Series[str]
    text: Series[str]
    unit: Series[str] = pa.Field(isin=["tokens", "seconds"])
    n: Series[int]
    mean: Series[float] = pa.Field(nullable=True)
    standard_error: Series[float] = pa.Field(nullable=True)
    median: Series[float] = pa.Field(nullable=True)
    maximum: Series[float] = pa.Field(nullable=True)


class Refinements(_Table):
    """N refinements per example and method, with what the model really returned.

    `method` is e.g. refinement_with_feedback; `status` says why a text was kept: unique, duplicate,
    forbidden or empty; `resampled` whether it came from the second draw.
    """

    example_id: Series[str]
    method: Series[str]
    sample_index: Series[int] = pa.Field(ge=0)
    text: Series[str]
    raw_text: Series[str]
    finish_reason: Series[str]
    n_tokens: Series[int] = pa.Field(ge=0)
    seed: Series[int]
    draw_index: Series[int] = pa.Field(ge=0)
    resampled: Series[bool]
    status: Series[str] = pa.Field(isin=["unique", "duplicate", "forbidden", "empty"])

    class Config:
        unique = ["example_id", "method", "sample_index"]


class Scores(_Table):
    """One score per (example, method, sample, scorer); higher is better; null is undefined."""

    example_id: Series[str]
    method: Series[str]
    sample_index: Series[int]
    scorer: Series[str]
    score: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["example_id", "method", "sample_index", "scorer"]


class Selections(_Table):
    """The refinement that each scorer chose for each example."""

    example_id: Series[str]
    method: Series[str]
    scorer: Series[str]
    sample_index: Series[int]
    score: Series[float] = pa.Field(nullable=True)
    text: Series[str]

    class Config:
        unique = ["example_id", "method", "scorer"]


class Targets(_Table):
    """What an arm finetunes on: the completion to imitate for each example."""

    example_id: Series[str] = pa.Field(unique=True)
    title: Series[str] = pa.Field(nullable=True)
    post: Series[str]
    target: Series[str]


class TrainingLog(_Table):
    """One row per optimiser step of a training."""

    step: Series[int]
    epoch: Series[float]
    loss: Series[float]
    learning_rate: Series[float]
    gradient_norm: Series[float] = pa.Field(nullable=True)


class Summaries(_Table):
    """Summaries that a model sampled for test posts.

    `model` is the identifier of the sampler, such as finetune.refinements.n100 or base.
    """

    example_id: Series[str]
    model: Series[str]
    sample_index: Series[int]
    text: Series[str]
    raw_text: Series[str]
    finish_reason: Series[str]
    n_tokens: Series[int]
    seed: Series[int]

    class Config:
        unique = ["example_id", "model", "sample_index"]


class Rewards(_Table):
    """Reward-model scores of summaries: p(Yes), between 0 and 1."""

    example_id: Series[str]
    model: Series[str]
    sample_index: Series[int]
    reward: Series[float] = pa.Field(ge=0, le=1)


class RewardPredictions(_Table):
    """The rewards of both summaries of a comparison, and the probability that a is the better one."""

    example_id: Series[str] = pa.Field(unique=True)
    preferred: Series[str] = pa.Field(isin=["a", "b"])
    reward_a: Series[float] = pa.Field(ge=0, le=1)
    reward_b: Series[float] = pa.Field(ge=0, le=1)
    p_a_preferred: Series[float] = pa.Field(ge=0, le=1)


class RewardModelAccuracy(_Table):
    """One row: how often the preferred summary of a split got the higher reward (ties count ½).

    `lower` and `upper` are Wilson's interval; `calibration_verdict` says why calibration cannot be judged,
    and is null where it can.
    """

    split: Series[str]
    n_train: Series[int]
    n: Series[int]
    accuracy: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float]
    upper: Series[float]
    ties: Series[int]
    expected_calibration_error: Series[float]
    calibration_verdict: Series[str] = pa.Field(nullable=True)


class Reliability(_Table):
    """A reliability curve: predicted probability against observed frequency, one row per filled bin."""

    p_mean: Series[float]
    observed: Series[float]
    n: Series[int]


class LogLikelihoods(_Table):
    """Summed log-probability (nats) and token count of a given text under a model."""

    example_id: Series[str]
    model: Series[str]
    text_kind: Series[str]
    log_likelihood: Series[float]
    n_tokens: Series[int] = pa.Field(gt=0)


class Verdicts(_Table):
    """A language model's verdict on one pair of summaries in one order.

    `first` is the summary that stood first; `p_first` the probability that the judge gave it.
    """

    example_id: Series[str]
    model: Series[str]
    baseline: Series[str]
    order: Series[str] = pa.Field(isin=["model_first", "baseline_first"])
    p_first: Series[float] = pa.Field(ge=0, le=1)
    prefers: Series[str] = pa.Field(isin=["model", "baseline", "neither"])
    judged_by: Series[str]
    covered: Series[float] = pa.Field(ge=0, le=1.001, description="p of all answers before normalisation")

    class Config:
        unique = ["example_id", "model", "baseline", "order", "judged_by"]


class Outcomes(_Table):
    """One row per judged pair: 1 the model won, ½ a tie, 0 the baseline won.

    `agrees` is whether both orders gave the same preference; where not, the outcome is ½.
    """

    example_id: Series[str]
    model: Series[str]
    baseline: Series[str]
    judged_by: Series[str]
    agrees: Series[bool]
    outcome: Series[float] = pa.Field(isin=[0.0, 0.5, 1.0])


class Rankings(_Table):
    """Rankings of several methods' outputs for one example: rank 1 is the best, equal ranks are ties."""

    example_id: Series[str]
    judged_by: Series[str]
    method: Series[str]
    rank: Series[int] = pa.Field(ge=1)

    class Config:
        unique = ["example_id", "judged_by", "method"]


class JudgeAgreement(_Table):
    """How often a judge gave one verdict in both orders, per model and for "all", with its interval."""

    judged_by: Series[str]
    model: Series[str]
    n_pairs: Series[int]
    n_examples: Series[int]
    agreement: Series[float]
    lower: Series[float]
    upper: Series[float]


class WinRates(_Table):
    """Win rate of a model over a baseline with its standard error (n - 1)."""

    model: Series[str]
    baseline: Series[str]
    judged_by: Series[str]
    n: Series[int]
    win_rate: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    ties: Series[float]


class ModelMetrics(_Table):
    """One figure of one model on the test posts, with its error and interval over examples.

    `model` "human_summary" is the people's summaries; `note` says why an interval is missing or unusual.
    """

    model: Series[str]
    metric: Series[str]
    n: Series[int]
    value: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    note: Series[str] = pa.Field(nullable=True)

    class Config:
        unique = ["model", "metric"]


class RefinementMetrics(_Table):
    """One figure of the refinements of one method, for those that a scorer chose.

    `chosen_by` "any" is the mean over all N refinements of an example.
    """

    method: Series[str]
    chosen_by: Series[str]
    metric: Series[str]
    n: Series[int]
    value: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    note: Series[str] = pa.Field(nullable=True)

    class Config:
        unique = ["method", "chosen_by", "metric"]


class ScorerAgreement(_Table):
    """Share of examples for which two scorers chose the same text."""

    method: Series[str]
    scorer: Series[str]
    other: Series[str]
    n: Series[int]
    share: Series[float]


class TrainingLogs(TrainingLog):
    """The logs of several trainings, told apart by `model`."""

    model: Series[str]


class PublishedResults(_Table):
    """The paper's and its notebook's figures, to print beside ours."""

    experiment: Series[str]
    split: Series[str]
    n: Series[int]
    metric: Series[str]
    method: Series[str]
    baseline: Series[str] = pa.Field(nullable=True)
    train_size: Series[float] = pa.Field(nullable=True)
    value: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    source: Series[str]
