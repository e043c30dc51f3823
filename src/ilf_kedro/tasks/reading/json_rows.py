"""Rows out of JSON lines and JSON lists, each fault named with its row."""

from __future__ import annotations

import json
import re

from ilf_kedro.schemas import Fault, RawRow, printable, show_value

__all__ = ["NOT_UTF8", "json_lines_rows", "json_list_rows", "not_utf8", "parse_object"]

NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""What a byte that is not UTF-8 is read as (Python's "surrogateescape")."""


def json_lines_rows(file: str, text: str) -> tuple[list[RawRow], list[Fault]]:
    """Read one JSON object per line; blank lines are ignored, and numbers are those of the lines, from 1."""
    rows: list[RawRow] = []
    faults: list[Fault] = []
    for number, line in enumerate(split_lines(text), start=1):
        if not (content := line.strip()):
            continue
        if fault := not_utf8(file, number, content):
            faults.append(fault)
            continue
        try:
            rows.append(RawRow(file, number, parse_object(content), content))
        except (ValueError, RecursionError) as error:
            faults.append(Fault(file, number, None, str(error), "one JSON object on each line", printable(content)))
    return rows, faults


def json_list_rows(file: str, text: str) -> tuple[list[RawRow], list[Fault]]:
    """Read a JSON list of objects; numbers are those of its members, from 1."""
    try:
        members = json.loads(text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        found = str(error)
        if isinstance(error, json.JSONDecodeError):
            found = f"broken JSON ({error.msg}, at line {error.lineno}, character {error.colno})"
        return [], [Fault(file, 0, None, found, "a JSON list of objects")]
    if not isinstance(members, list):
        return [], [Fault(file, 0, None, show_value(members), "a JSON list of objects")]
    rows = [RawRow(file, n, member) for n, member in enumerate(members, start=1) if isinstance(member, dict)]
    others = [(n, member) for n, member in enumerate(members, start=1) if not isinstance(member, dict)]
    return rows, [Fault(file, n, None, show_value(each), "a JSON object", show_value(each)) for n, each in others]


def parse_object(text: str) -> dict[str, object]:
    """Parse a JSON object; NaN, which Python writes for a missing number, is null.

    Raises:
        ValueError: it is none, in whatever way; it says how.
    """
    try:
        value = json.loads(text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON ({error.msg}, at character {error.colno})") from error
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(show_value(value))
    return value


def not_utf8(file: str, number: int, text: str) -> Fault | None:
    """Return the fault of a row with a byte that is not UTF-8, read as a lone surrogate."""
    if not (match := NOT_UTF8.search(text)):
        return None
    byte = ord(match[0]) - 0xDC00
    raw = printable(NOT_UTF8.sub(lambda each: f"\\x{ord(each[0]) - 0xDC00:02x}", text))
    expected = "UTF-8 text; name the encoding, such as `encoding: windows-1252` in the catalog entry"
    return Fault(file, number, None, f"the byte 0x{byte:02x}, which is not UTF-8", expected, raw)


def split_lines(text: str) -> tuple[str, ...]:
    """Split a text at LF or CRLF alone, never at U+2028 and its like, which JSON strings may hold."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return tuple(line.removesuffix("\r") for line in lines)


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


def _refuse_repeated_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"columns written twice: {', '.join(map(show_value, repeated))}")
    return values
