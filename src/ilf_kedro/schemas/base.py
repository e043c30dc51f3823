"""The base of options and of tables, and what is no table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

import pandas as pd
import pandera.pandas as pa
from pandera.typing import DataFrame, Series
from pydantic import BaseModel, ConfigDict

Split = Literal["train", "development", "validation", "test"]


def text_or_empty(value: object) -> str:
    """Return a text cell's value, and the empty text for a null one (tables hold nulls as nan)."""
    return value if isinstance(value, str) else ""


class UserError(ValueError):
    """A fault that a user can remove; its message says what was found, where, what was expected and what to do."""


class Options(BaseModel):
    """Base of every options model: immutable, and an unknown key or an infinite number is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Table(pa.DataFrameModel):
    """Base of every table: no unknown columns, values coerced to the declared types."""

    class Config:
        strict = True
        coerce = True

    @classmethod
    def column_names(cls) -> list[str]:
        """Return the names of the columns in their order."""
        return list(cls.to_schema().columns)

    @classmethod
    def from_rows(cls, rows: Iterable[Any]) -> DataFrame[Self]:
        """Return the validated table of the rows (dicts, or tuples in the columns' order); there may be none."""
        return cls.validate(pd.DataFrame(list(rows), columns=cls.column_names()))


class Estimates(Table):
    """Base of tables of figures, each of `n` examples, with its standard error and its interval over them.

    The columns that say what a figure is of come first. `note` says why an interval is missing or unusual.
    """

    n: Series[int]
    value: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    note: Series[str] = pa.Field(nullable=True)

    @classmethod
    def column_names(cls) -> list[str]:
        """Return the names of the columns, the estimate's last."""
        figures = list(Estimates.to_schema().columns)
        return [name for name in cls.to_schema().columns if name not in figures] + figures
