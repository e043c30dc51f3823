"""Models' outputs, how they were judged, and what was measured."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates, Table


class Outputs(Table):
    """Outputs that a model sampled for test inputs.

    `model` is the identifier of the sampler, such as finetune.refinements.n100 or finetune.base.
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


class LogLikelihoods(Table):
    """Summed log-probability (nats) and token count of a given text under a model."""

    example_id: Series[str]
    model: Series[str]
    text_kind: Series[str]
    log_likelihood: Series[float]
    n_tokens: Series[int] = pa.Field(gt=0)


class Verdicts(Table):
    """A language model's verdict on one pair of outputs in one order.

    `p_first` is the probability that the judge gave the output that stood first; null where it refused, or all
    but surely said something else than either answer, and then it prefers "undefined".
    """

    example_id: Series[str]
    model: Series[str]
    baseline: Series[str]
    order: Series[str] = pa.Field(isin=["model_first", "baseline_first"])
    p_first: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    prefers: Series[str] = pa.Field(isin=["model", "baseline", "neither", "undefined"])
    judged_by: Series[str]
    covered: Series[float] = pa.Field(ge=0, le=1.001, description="p of all answers before normalisation")

    class Config:
        unique = ["example_id", "model", "baseline", "order", "judged_by"]


class Outcomes(Table):
    """One row per judged pair: 1 the model won, ½ a tie, 0 the baseline won.

    `agrees` is whether both orders gave the same preference; where not, the outcome is ½. A pair of which an
    order's answer is undefined has no row.
    """

    example_id: Series[str]
    model: Series[str]
    baseline: Series[str]
    judged_by: Series[str]
    agrees: Series[bool]
    outcome: Series[float] = pa.Field(isin=[0.0, 0.5, 1.0])


class Rankings(Table):
    """Rankings of several methods' outputs for one example: rank 1 is the best, equal ranks are ties."""

    example_id: Series[str]
    judged_by: Series[str]
    method: Series[str]
    rank: Series[int] = pa.Field(ge=1)

    class Config:
        unique = ["example_id", "judged_by", "method"]


class JudgeAgreement(Table):
    """How often a judge gave one verdict in both orders, per model and for "all", with its interval.

    `n_undefined` counts the pairs that are left out because an answer of theirs is undefined; `covered` is the
    mean probability that the judge's answers leave to the two choices.
    """

    judged_by: Series[str]
    model: Series[str]
    n_pairs: Series[int]
    n_examples: Series[int]
    agreement: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    n_undefined: Series[int] = pa.Field(ge=0)
    covered: Series[float] = pa.Field(ge=0, le=1.001)


class Verified(Table):
    """What the verifier says of each output of the test inputs; null where it gave no score."""

    example_id: Series[str]
    model: Series[str]
    sample_index: Series[int]
    score: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["example_id", "model", "sample_index"]


class PassRates(Estimates):
    """How often a verifier passes what a refinement method or a model wrote, with its error and interval.

    `metric` is pass@k or score, the mean; `chosen_by` "any" counts all samples, a scorer the one that it chose.
    """

    writer: Series[str]
    chosen_by: Series[str]
    metric: Series[str]

    class Config:
        unique = ["writer", "chosen_by", "metric"]


class WinRates(Table):
    """Win rate of a model over a baseline with its standard error (n - 1)."""

    model: Series[str]
    baseline: Series[str]
    judged_by: Series[str]
    n: Series[int]
    win_rate: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    ties: Series[float]


class ModelMetrics(Estimates):
    """One figure of one model on the test inputs, with its error and interval over examples.

    `model` "reference" is the references; `note` says why an interval is missing or unusual.
    """

    model: Series[str]
    metric: Series[str]

    class Config:
        unique = ["model", "metric"]


class RefinementMetrics(Estimates):
    """One figure of the refinements of one method, for those that a scorer chose.

    `chosen_by` "any" is the mean over all N refinements of an example.
    """

    method: Series[str]
    chosen_by: Series[str]
    metric: Series[str]

    class Config:
        unique = ["method", "chosen_by", "metric"]


class ScorerAgreement(Table):
    """Share of examples for which two scorers chose the same text."""

    method: Series[str]
    scorer: Series[str]
    other: Series[str]
    n: Series[int]
    share: Series[float]


class PublishedResults(Table):
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
