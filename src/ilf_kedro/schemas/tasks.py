"""Examples and comparisons of any task: the project's words, and one column for each input that the task declares."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Split, Table

__all__ = ["SPLITS", "TaskComparisons", "TaskExamples"]

SPLITS: tuple[Split, ...] = ("train", "development", "validation", "test")


class _WithInputs(Table):
    """Base of tables that have the task's inputs as further columns, each of text (messages as a JSON list)."""

    class Config:
        strict = False

    @pa.dataframe_check(error="the columns of inputs hold text or null")
    def _inputs_are_text(cls, table: pd.DataFrame) -> bool:  # noqa: N805  # pandera passes the class
        inputs = table[[name for name in table.columns if name not in cls.column_names()]]
        return all(pd.api.types.is_string_dtype(inputs[name].dropna()) or inputs[name].isna().all() for name in inputs)


class TaskExamples(_WithInputs):
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


class TaskComparisons(_WithInputs):
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
