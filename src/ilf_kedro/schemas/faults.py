"""Faults of data: what is wrong, where, and how a message lists them all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ilf_kedro.schemas.base import UserError
from ilf_kedro.schemas.wording import counted

__all__ = ["Fault", "InvalidDataError", "printable", "show_value"]

_MAX_FAULTS = 50
_MAX_SHOWN = 80
_MAX_RANGES = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong where: `row` is the line or row number from 1, 0 for the whole file."""

    file: str
    row: int
    column: str | None
    found: str
    expected: str
    raw: str | None = None


class InvalidDataError(UserError):
    """The data have faults; the message lists them all, at most 50 kinds per file."""

    def __init__(self, faults: Sequence[Fault], advice: str) -> None:
        self.faults = tuple(faults)
        n_rows = len({(fault.file, fault.row) for fault in faults})
        lines = [f"The raw data have {counted(len(faults), 'fault')} in {counted(n_rows, 'row')}:"]
        for file in dict.fromkeys(fault.file for fault in faults):
            kinds = _describe_kinds([fault for fault in faults if fault.file == file])
            lines += kinds[:_MAX_FAULTS]
            if len(kinds) > _MAX_FAULTS:
                lines.append(f"{file}: and {len(kinds) - _MAX_FAULTS} more like these")
        super().__init__("\n  ".join(lines) + f"\n{advice}")


def show_value(value: object) -> str:
    """Write a value as JSON does, shortened, and safe to print."""
    text = printable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def printable(text: str) -> str:
    """Escape lone surrogates, which no file and no terminal can take."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _describe_kinds(faults: Sequence[Fault]) -> list[str]:
    """Write one line per kind of fault in a file, with the rows that have it, in order of first row."""
    kinds: dict[tuple[str | None, str, str], list[int]] = {}
    for fault in faults:
        kinds.setdefault((fault.column, fault.found, fault.expected), []).append(fault.row)
    return [
        f"{faults[0].file}:{_describe_numbers(rows)} {column or '(row)'}: found {found}; expected {expected}"
        for (column, found, expected), rows in sorted(kinds.items(), key=lambda item: item[1][0])
    ]


def _describe_numbers(numbers: Sequence[int]) -> str:
    """Write consecutive numbers as ranges, and at most ten of these: "1-3, 7"."""
    ranges = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        ranges.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    more = f", … ({len(numbers)} rows)" if len(ranges) > _MAX_RANGES else ""
    return ", ".join(ranges[:_MAX_RANGES]) + more
