"""What data_prep makes: validated examples, comparisons, subsets, and what was rejected."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Split, Table

SPLITS: tuple[Split, ...] = ("train", "development", "validation", "test")


class WithInputs(Table):
    """Base of tables that have the task's inputs as further columns, each of text (messages as a JSON list)."""

    class Config:
        strict = False

    @classmethod
    def input_names(cls, table: pd.DataFrame) -> list[str]:
        """Return the columns that hold inputs, in their order."""
        return [str(name) for name in table.columns if name not in cls.column_names()]

    @pa.dataframe_parser
    @classmethod
    def _read_empty_inputs_as_text(cls, table: pd.DataFrame) -> pd.DataFrame:
        """Let an input that is null in every row, or has texts and nulls, have the type of text, as files keep it."""
        texts = [
            name
            for name in cls.input_names(table)
            if table[name].dtype == object and all(isinstance(text, str) for text in table[name].dropna())
        ]
        return table.astype(dict.fromkeys(texts, pd.StringDtype("pyarrow", na_value=float("nan"))))

    @pa.dataframe_check(error="the columns of inputs hold text or null")
    def _inputs_are_text(cls, table: pd.DataFrame) -> bool:  # noqa: N805  # pandera passes the class
        inputs = table[cls.input_names(table)]
        return all(pd.api.types.is_string_dtype(inputs[name].dropna()) or inputs[name].isna().all() for name in inputs)


class Examples(WithInputs):
    """One row per example of a split, in the order of its source; a column for each input beside these.

    `input_id` is the same for all examples of one input, by which errors are clustered. `position` counts from 0, so
    that nested subsets are prefixes. What the source lacks is null. `other` is a JSON object of the kept columns.
    """

    example_id: Series[str] = pa.Field(unique=True)
    input_id: Series[str]
    split: Series[str] = pa.Field(isin=list(SPLITS))
    position: Series[int] = pa.Field(ge=0)
    initial_output: Series[str] = pa.Field(nullable=True)
    feedback: Series[str] = pa.Field(nullable=True)
    reference: Series[str] = pa.Field(nullable=True)
    annotator: Series[str] = pa.Field(nullable=True)
    group: Series[str] = pa.Field(nullable=True)
    other: Series[str]


class Comparisons(WithInputs):
    """One row per comparison of two outputs for one input; a column for each input beside these.

    `preferred` is the place, a or b, in which the chosen output stands where both are shown.
    """

    example_id: Series[str] = pa.Field(unique=True)
    input_id: Series[str]
    split: Series[str] = pa.Field(isin=list(SPLITS))
    position: Series[int] = pa.Field(ge=0)
    chosen: Series[str]
    rejected: Series[str]
    preferred: Series[str] = pa.Field(isin=["a", "b"])
    annotator: Series[str] = pa.Field(nullable=True)
    group: Series[str] = pa.Field(nullable=True)


class RejectedRows(Table):
    """Faults found in the raw files; one row per fault."""

    split: Series[str]
    file: Series[str]
    row: Series[int] = pa.Field(ge=0, description="line number from 1; 0 for the whole file")
    column: Series[str] = pa.Field(nullable=True)
    found: Series[str]
    expected: Series[str]
    raw: Series[str] = pa.Field(nullable=True, description="the rejected line")


class NearDuplicatePairs(Table):
    """Pairs of inputs that are nearly the same and stand in different splits, the most similar first."""

    split: Series[str]
    example_id: Series[str]
    other_split: Series[str]
    other_example_id: Series[str]
    similarity: Series[float] = pa.Field(ge=0, le=1, description="Jaccard similarity of runs of three words")
    text: Series[str]
    other_text: Series[str]


class Offers(Table):
    """How many examples of a split have what; one row per split. `inputs` counts different ones."""

    split: Series[str] = pa.Field(unique=True, isin=list(SPLITS))
    examples: Series[int]
    inputs: Series[int]
    feedback: Series[int]
    initial_outputs: Series[int]
    references: Series[int]
    comparisons: Series[int]
    annotators: Series[int]
    groups: Series[int]


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
