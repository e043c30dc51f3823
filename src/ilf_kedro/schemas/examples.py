"""What data_prep makes: validated examples, comparisons, subsets, and what was rejected."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table


class Examples(Table):
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
    tldr_reference: Series[str] = pa.Field(nullable=True)
    reference: Series[str] = pa.Field(nullable=True)
    initial_output: Series[str] = pa.Field(nullable=True)
    feedback: Series[str] = pa.Field(nullable=True)
    feedback_class: Series[str] = pa.Field(nullable=True)
    seconds_feedback: Series[float] = pa.Field(nullable=True)
    seconds_reference: Series[float] = pa.Field(nullable=True)
    seconds_comparison: Series[float] = pa.Field(nullable=True)


class Comparisons(Table):
    """Binary comparisons: which of two outputs for one input was preferred."""

    example_id: Series[str] = pa.Field(unique=True)
    split: Series[str]
    position: Series[int]
    title: Series[str] = pa.Field(nullable=True)
    post: Series[str]
    output_a: Series[str]
    output_b: Series[str]
    preferred: Series[str] = pa.Field(isin=["a", "b"])


class RejectedRows(Table):
    """Faults found in the raw files; one row per fault."""

    split: Series[str]
    file: Series[str]
    row: Series[int] = pa.Field(ge=0, description="line number from 1; 0 for the whole file")
    column: Series[str] = pa.Field(nullable=True)
    found: Series[str]
    expected: Series[str]
    raw: Series[str] = pa.Field(nullable=True, description="the rejected line")


class Subsets(Table):
    """Nested training subsets: the first `train_size` examples of the train split, or all that were not set aside."""

    train_size: Series[int]
    example_id: Series[str]


class TextStatistics(Table):
    """Tokens (or seconds) of one text column of one split: count, mean, standard error, quantiles."""

    split: Series[str]
    text: Series[str]
    unit: Series[str] = pa.Field(isin=["tokens", "seconds"])
    n: Series[int]
    mean: Series[float] = pa.Field(nullable=True)
    standard_error: Series[float] = pa.Field(nullable=True)
    median: Series[float] = pa.Field(nullable=True)
    maximum: Series[float] = pa.Field(nullable=True)
