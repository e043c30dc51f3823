"""People's ranks of methods, as `kedro annotate export --format rankings` writes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from ilf_kedro.schemas import DataFrame, Fault, InvalidDataError, Rankings, RawRow, RawRows, printable
from ilf_kedro.tasks.reading.records import Identifier, read_records

__all__ = ["MethodRankLine", "read_method_rankings"]

_ADVICE = "Correct these rows; docs/people.md has the format `rankings`."


class MethodRankLine(BaseModel):
    """One row: the rank that one annotator or judge gave to one method's output for one example."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    example_id: Identifier
    judged_by: Identifier
    method: Identifier
    rank: Annotated[int, Field(ge=1, description="a whole number from 1 (the best); equal ranks are ties")]
    all_bad: Annotated[bool, Field(description="true or false")] = False


def read_method_rankings(
    raw: RawRows, known: Collection[str] | None = None, names: Mapping[str, str] | None = None
) -> DataFrame[Rankings]:
    """Validate rankings of `known` examples (any where None), with methods called by `names` where these have one.

    Raises:
        InvalidDataError: it lists every fault of the file with its rows.
    """
    records, faults = read_records(raw, MethodRankLine)
    ids, first = None if known is None else set(known), dict[tuple[str, str, str], int]()
    table = []
    for each in records:
        row, line = each.row, each.record
        place = (line.example_id, line.judged_by, line.method)
        if (number := first.setdefault(place, row.number)) != row.number:
            found = f"{line.judged_by} ranks {line.method} of {line.example_id}, as in row {number}"
            faults.append(_fault(row, "rank", found, "one rank each"))
        if ids is not None and line.example_id not in ids:
            expected = f"the id of one of the {len(ids)} examples of the test split"
            faults.append(_fault(row, "example_id", f'"{line.example_id}"', expected))
        method = (names or {}).get(line.method, line.method)
        table.append({"example_id": place[0], "judged_by": place[1], "method": method, "rank": line.rank})
    if faults:
        raise InvalidDataError(sorted(faults, key=lambda fault: fault.row), _ADVICE)
    return Rankings.validate(pd.DataFrame(table))


def _fault(row: RawRow, column: str, found: str, expected: str) -> Fault:
    return Fault(row.file, row.number, column, found, expected, printable(row.text()))
