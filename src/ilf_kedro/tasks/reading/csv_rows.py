"""Rows out of CSV: every cell is text ("007" stays), empty ones are null, and each fault has its line."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator

from ilf_kedro.schemas import Fault, RawRow, show_value
from ilf_kedro.tasks.reading.json_rows import not_utf8
from ilf_kedro.tasks.reading.options import ReadOptions

__all__ = ["csv_rows"]

_SEPARATORS = (",", ";", "\t", "|")


def csv_rows(file: str, text: str, options: ReadOptions) -> tuple[list[RawRow], list[Fault]]:
    """Read a line of column names and the rows below it; a row's number is that of the line on which it begins."""
    usual = "\t" if file.lower().removesuffix(".gz").endswith(".tsv") else ","
    separator = options.separator or usual
    records = _records(text, separator, options.quote)
    try:
        _, header = next(records, (0, []))
        if faults := _header_faults(file, header, separator, options):
            return [], faults
        return _rows(file, header, records)
    except _BrokenError as error:
        return [], [_broken(file, error)]


class _BrokenError(ValueError):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _records(text: str, separator: str, quote: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the line on which it begins."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=quote, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _BrokenError(line, str(error)) from None
        if cells is None:
            return
        if cells:
            yield line, cells


def _header_faults(file: str, header: list[str], separator: str, options: ReadOptions) -> list[Fault]:
    names = [name.strip() for name in header]
    if not names:
        return [Fault(file, 0, None, "an empty file", "a line of column names and rows below it")]
    written = separator.join(header)
    others = {each: written.count(each) for each in _SEPARATORS if each != separator}
    likely = max(others, key=lambda each: others[each])
    if options.separator is None and others[likely] > written.count(separator):
        expected = f"column names with {show_value(separator)} between them; name it: `separator: {show_value(likely)}`"
        return [Fault(file, 1, None, f"{show_value(likely)} between the column names {show_value(written)}", expected)]
    if options.quote == '"' and len(names) > 1 and all(len(n) > 1 and n[0] == n[-1] == "'" for n in names):
        expected = 'column names in " or in no quotes; name the quotes: `quote: "\'"`'
        return [Fault(file, 1, None, f"column names in single quotes: {show_value(written)}", expected)]
    repeated = sorted(name for name, n in Counter(names).items() if n > 1 and name)
    faults = [Fault(file, 1, name, "a column name that stands twice", "column names that differ") for name in repeated]
    if "" in names:
        place = names.index("") + 1
        faults.append(Fault(file, 1, None, f"no name for column {place}", "a name for every column"))
    return faults


def _rows(file: str, header: list[str], records: Iterator[tuple[int, list[str]]]) -> tuple[list[RawRow], list[Fault]]:
    names = [name.strip() for name in header]
    rows: list[RawRow] = []
    faults: list[Fault] = []
    try:
        for line, cells in records:
            if fault := not_utf8(file, line, "\n".join(cells)):
                faults.append(fault)
            elif len(cells) != len(names):
                expected = f"{len(names)}, as many as column names; a cell with the separator in it needs quotes"
                faults.append(Fault(file, line, None, f"{len(cells)} cells", expected, show_value(cells)))
            else:
                rows.append(RawRow(file, line, dict(zip(names, (cell or None for cell in cells), strict=True))))
    except _BrokenError as error:
        faults.append(_broken(file, error))
    return rows, faults


def _broken(file: str, error: _BrokenError) -> Fault:
    expected = "cells whose quotes are closed, and doubled within them; name others with `quote`"
    return Fault(file, error.line, None, f"broken CSV ({error}), in the row that begins here", expected)
