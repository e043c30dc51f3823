"""Refinement sets, their scores, and what the scorers chose."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table


class Refinements(Table):
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


class Scores(Table):
    """One score per (example, method, sample, scorer); higher is better; null is undefined."""

    example_id: Series[str]
    method: Series[str]
    sample_index: Series[int]
    scorer: Series[str]
    score: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["example_id", "method", "sample_index", "scorer"]


class Selections(Table):
    """The refinement that each scorer chose for each example."""

    example_id: Series[str]
    method: Series[str]
    scorer: Series[str]
    sample_index: Series[int]
    score: Series[float] = pa.Field(nullable=True)
    text: Series[str]

    class Config:
        unique = ["example_id", "method", "scorer"]


class RankedSelections(Table):
    """The k refinements that each scorer prefers for each example; rank 1 is its choice."""

    example_id: Series[str]
    method: Series[str]
    scorer: Series[str]
    rank: Series[int] = pa.Field(ge=1)
    sample_index: Series[int]
    score: Series[float] = pa.Field(nullable=True)
    text: Series[str]

    class Config:
        unique = ["example_id", "method", "scorer", "rank"]


class TemplateDisagreement(Table):
    """How far InstructRM's templates disagree on a refinement.

    `disagreement` is the standard deviation (n - 1) of the templates' scores, null where one is undefined;
    `score` their mean.
    """

    example_id: Series[str]
    method: Series[str]
    sample_index: Series[int]
    score: Series[float] = pa.Field(nullable=True)
    disagreement: Series[float] = pa.Field(nullable=True, ge=0)

    class Config:
        unique = ["example_id", "method", "sample_index"]


class UndefinedScores(Table):
    """How many of the `n` scores of one scorer and method are undefined, `n_empty` of them for empty refinements."""

    method: Series[str]
    scorer: Series[str]
    n: Series[int]
    n_undefined: Series[int] = pa.Field(ge=0)
    n_empty: Series[int] = pa.Field(ge=0)

    class Config:
        unique = ["method", "scorer"]


class FeedbackTexts(Table):
    """Feedback that takes the place of an example's own, and where it comes from.

    `source` is "shuffled" or "model:{name}"; `from_example_id` the example whose feedback it is, where shuffled.
    """

    example_id: Series[str] = pa.Field(unique=True)
    feedback: Series[str]
    source: Series[str]
    from_example_id: Series[str] = pa.Field(nullable=True)
