"""Rows as records of a declared type: what each field must hold is its description, which fault messages quote."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from ilf_kedro.schemas import Fault, RawRow, RawRows, printable, show_value

__all__ = ["Identifier", "ReadRecord", "Text", "read_records"]

RecordT = TypeVar("RecordT", bound=BaseModel)


def _refuse_blank(text: str) -> str:
    """Refuse a text of which nothing can be seen: white space and zero-width characters only."""
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise PydanticCustomError("blank", "nothing that can be seen")
    return text


def _refuse_lone_surrogates(text: str) -> str:
    """Refuse half an emoji (half a surrogate pair), which JSON can spell but no file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PydanticCustomError("lone_surrogate", "half a surrogate pair") from error
    return text


_Writable = Annotated[str, AfterValidator(_refuse_lone_surrogates)]
Text = Annotated[_Writable, AfterValidator(_refuse_blank), Field(description="text that is not empty")]
Identifier = Annotated[Text, AfterValidator(str.strip)]


@dataclass(frozen=True, slots=True)
class ReadRecord(Generic[RecordT]):
    """A valid record, and the row that it was read from."""

    row: RawRow
    record: RecordT


def read_records(raw: RawRows, record_type: type[RecordT]) -> tuple[list[ReadRecord[RecordT]], list[Fault]]:
    """Validate each row on its own; return the records of the valid ones, and every fault of the file."""
    records: list[ReadRecord[RecordT]] = []
    faults = list(raw.faults)
    columns = _columns(record_type)
    for row in raw.rows:
        try:
            records.append(ReadRecord(row, record_type.model_validate(row.values)))
        except ValidationError as error:
            faults += [_explain(detail, columns, row) for detail in error.errors(include_url=False)]
    return records, faults


def _columns(record_type: type[BaseModel]) -> dict[str, str]:
    """Return every column that a file may have, with what it must hold; those within a list as rows[].column."""
    columns = {}
    for name, field in record_type.model_fields.items():
        columns[name] = field.description or ""
        for inner in get_args(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                columns |= {f"{name}[].{key}": expected for key, expected in _columns(inner).items()}
    return columns


def _explain(detail: ErrorDetails, columns: Mapping[str, str], row: RawRow) -> Fault:
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
    return Fault(row.file, row.number, printable(column), found, expected, printable(row.text()))


def _column(location: Sequence[str | int]) -> str:
    """Return where a value stands: a column, or within one such as candidates[2].rank."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
