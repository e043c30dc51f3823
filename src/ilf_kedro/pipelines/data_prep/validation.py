"""Finds every fault of a file of records at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ilf_kedro.pipelines.data_prep.records import columns_of
from ilf_kedro.schemas import Fault, InvalidDataError, RawLines, printable, show_value
from ilf_kedro.tasks.reading.json_rows import parse_object

__all__ = ["Fault", "InvalidDataError", "ParsedRow", "read_rows"]

RecordT = TypeVar("RecordT", bound=BaseModel)

# What a byte that is not UTF-8 is read as (Python's "surrogateescape").
_OTHER_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class ParsedRow(Generic[RecordT]):
    """A line of a file: what it holds where it is a JSON object, and the record where it is valid."""

    number: int
    raw: str
    values: Mapping[str, object]
    record: RecordT | None


def read_rows(raw: RawLines, record_type: type[RecordT]) -> tuple[list[ParsedRow[RecordT]], list[Fault]]:
    """Read one JSON object per line, and validate each on its own as a `record_type`.

    A byte-order mark, carriage returns and blank lines are ignored; NaN (which Python writes for a
    missing number) is null. Every line that is not blank gives a row; invalid ones, and those with a byte
    that is not UTF-8, have no record.
    """
    rows: list[ParsedRow[RecordT]] = []
    faults: list[Fault] = []
    for number, line in enumerate(raw.lines, start=1):
        text = line.removeprefix("\ufeff").strip() if number == 1 else line.strip()
        if not text:
            continue
        row, found = _read_row(raw.file, number, text, record_type)
        rows.append(row)
        faults += found
    if not rows:
        faults.append(Fault(raw.file, 0, None, "an empty file", "one JSON object on each line"))
    return rows, faults


def _read_row(file: str, number: int, text: str, record_type: type[RecordT]) -> tuple[ParsedRow[RecordT], list[Fault]]:
    """Read one line; a row that is not UTF-8 has no other fault."""
    raw = printable(_OTHER_BYTE.sub(lambda match: f"\\x{_byte(match[0]):02x}", text))
    values, record, faults = {}, None, []
    if match := _OTHER_BYTE.search(text):
        expected = "UTF-8 text; convert the file, such as with `iconv -f WINDOWS-1252 -t UTF-8`"
        faults = [Fault(file, number, None, f"the byte 0x{_byte(match[0]):02x}, which is not UTF-8", expected, raw)]
    try:
        values = parse_object(text)
        record = None if faults else record_type.model_validate(values)
    except ValidationError as error:
        columns = columns_of(record_type)
        faults = [_explain(detail, columns, file, number, raw) for detail in error.errors(include_url=False)]
    except (ValueError, RecursionError) as error:
        faults = faults or [Fault(file, number, None, str(error), "one JSON object on each line", raw)]
    return ParsedRow(number, raw, values, record), faults


def _byte(escaped: str) -> int:
    return ord(escaped) - 0xDC00


def _explain(detail: ErrorDetails, columns: Mapping[str, str], file: str, number: int, raw: str) -> Fault:
    """Say in the file's own terms what pydantic found wrong with a row."""
    column = _column(detail["loc"])
    value, kind = detail["input"], detail["type"]
    found, expected = show_value(value), columns.get(re.sub(r"\d+", "", column), "")
    if kind == "missing":
        found = "no such column"
    elif kind == "extra_forbidden":
        nearest = difflib.get_close_matches(column, columns, n=1)
        found = "an unknown column"
        expected = f"{nearest[0]!r}, perhaps" if nearest else f"one of {', '.join(columns)}"
    elif kind == "contradiction":
        found, expected = detail["msg"], detail["ctx"]["wanted"]
    elif kind == "lone_surrogate":
        expected += ", without half a surrogate pair"
    elif kind == "string_type" and isinstance(value, int | float):
        expected += f'; put it in quotes: "{found}"'
    return Fault(file, number, printable(column), found, expected, raw)


def _column(location: Sequence[str | int]) -> str:
    """Return where a value stands: a column, or within one such as candidates[2].rank."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
