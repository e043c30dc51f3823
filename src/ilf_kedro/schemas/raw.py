"""Rows as their source has them, before anything in them is mapped or validated."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd

from ilf_kedro.schemas.faults import Fault

__all__ = ["RawRow", "RawRows", "RowSource", "plain_value", "raw_rows"]


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row: its file, its number there from 1 (of the line, where the file has lines), and its values.

    The values are what JSON can hold, numbers finite; `raw` is the line as it is, where the file has lines.
    """

    file: str
    number: int
    values: Mapping[str, object]
    raw: str | None = None

    def text(self) -> str:
        """Return the line, or the values as JSON."""
        return json.dumps(self.values) if self.raw is None else self.raw


@dataclass(frozen=True, slots=True)
class RawRows:
    """What a file, a folder of files or a data set holds: its rows, and the faults of those that cannot be read.

    `content_hash` is the SHA-256 of the bytes, or the pinned revision, where known.
    """

    file: str
    rows: tuple[RawRow, ...]
    faults: tuple[Fault, ...] = ()
    content_hash: str | None = field(default=None, compare=False, repr=False)


class _PolarsFrame(Protocol):
    def to_dicts(self) -> list[dict[str, Any]]: ...


class _ArrowTable(Protocol):
    def to_pylist(self) -> list[dict[str, Any]]: ...


RowSource: TypeAlias = RawRows | pd.DataFrame | _PolarsFrame | _ArrowTable | Iterable[Mapping[str, Any]]


def raw_rows(source: RowSource, file: str) -> RawRows:
    """Return the rows of a table of any library (pandas, polars, Arrow, `datasets`) or of a list of dicts.

    `file` names the source in messages. Dates become ISO 8601 text, NaN null.

    Raises:
        TypeError: the source is none of these.
    """
    if isinstance(source, RawRows):
        return source
    if isinstance(source, pd.DataFrame):
        records: Iterable[Any] = source.astype(object).to_dict("records")
    elif hasattr(source, "to_pylist"):
        records = source.to_pylist()
    elif hasattr(source, "to_dicts"):
        records = source.to_dicts()
    elif isinstance(source, Iterable):
        records = source
    else:
        raise TypeError(f"expected a table or a list of dicts, found a {type(source).__name__}")
    rows = []
    for number, record in enumerate(records, start=1):
        if not isinstance(record, Mapping):
            raise TypeError(f"expected rows that are dicts, found a {type(record).__name__} as row {number} of {file}")
        rows.append(RawRow(file, number, {str(key): plain_value(value) for key, value in record.items()}))
    return RawRows(file, tuple(rows))


def plain_value(value: object) -> object:  # one line per type that tables hold
    """Return a cell of any table as what JSON can hold: dates as ISO 8601, bytes as base64, NaN and NaT as null."""
    if value is None or isinstance(value, str | bool | int) or value is pd.NaT or value is pd.NA:
        return None if value is pd.NaT or value is pd.NA else value
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else float(value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain_value(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain_value(each) for each in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    return str(value)
