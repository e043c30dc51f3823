"""The base of options and of tables, and what is no table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pandera.pandas as pa
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


@dataclass(frozen=True, slots=True)
class RawLines:
    """A raw text file as it is, before anything in it is validated.

    `file` names it in messages; `lines` has no line ends, and its first is line 1 of the file. A byte that is
    not UTF-8 is a lone surrogate in them. `content_hash` is the SHA-256 of the file's bytes, where known.
    """

    file: str
    lines: tuple[str, ...]
    content_hash: str | None = field(default=None, compare=False, repr=False)


class Table(pa.DataFrameModel):
    """Base of every table: no unknown columns, values coerced to the declared types."""

    class Config:
        strict = True
        coerce = True
