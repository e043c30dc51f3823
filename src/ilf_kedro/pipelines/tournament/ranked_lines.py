"""Rankings as people hand them in; every fault of them is found before anything is scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from ilf_kedro.schemas import DataFrame, Examples, Fault, InvalidDataError, RawRow, RawRows, printable, text_or_empty
from ilf_kedro.schemas.wording import counted
from ilf_kedro.tasks.reading.records import Identifier, ReadRecord, Text, read_records

__all__ = ["RankedLine", "read_rankings"]

MAX_RANK = 1_000_000
_FEWEST = 2
_ADVICE = "Correct these rows; the format is in data/01_raw/slf5k_sample/README.md."

Ranker = Annotated[
    str,
    StringConstraints(pattern=r"^(human|judge):\S"),
    Field(description='who ranked: "human:<name>" for a person, "judge:<model>" for a language model'),
]


class Candidate(BaseModel):
    """A text and its rank; whether it is the example's initial output, which no scorer may choose."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    text: Text
    rank: int = Field(
        ge=1, le=MAX_RANK, description=f"a whole number from 1 (the best) to {MAX_RANK:,}; equal ranks are ties"
    )
    is_initial_output: bool = Field(default=False, description="true or false")


class RankedLine(BaseModel):
    """One row: how one ranker ranked the candidates for one example of the development split."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    example_id: Identifier
    ranked_by: Ranker
    # A JSON array comes as a list, which a strict tuple would refuse.
    candidates: Annotated[
        tuple[Candidate, ...],
        Field(strict=False, description="a list of two candidates or more besides the initial output"),
    ]

    @field_validator("candidates")
    @classmethod
    def _check_candidates(cls, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        n_initial = sum(each.is_initial_output for each in candidates)
        texts = [_folded(each.text) for each in candidates]
        if n_initial > 1:
            found, wanted = f"{n_initial} candidates with is_initial_output", "one at most"
        elif len(candidates) - n_initial < _FEWEST:
            found = f"{counted(len(candidates) - n_initial, 'candidate')} besides the initial output"
            wanted = f"{_FEWEST} or more"
        elif len(set(texts)) < len(texts):
            found = f"{counted(len(texts) - len(set(texts)), 'candidate')} with a text that another has"
            wanted = "each text once, with one rank"
        else:
            return candidates
        raise PydanticCustomError("contradiction", "{found}", {"found": found, "wanted": wanted})


def read_rankings(raw: RawRows, development: DataFrame[Examples]) -> pd.DataFrame:
    """Validate rankings, and return one row per (example, ranker, candidate) in the order of the file.

    Columns: example_id, ranked_by, sample_index, text, is_initial_output, rank. Texts that are equal but for case
    and white space are one candidate of an example, whoever ranked them.

    Raises:
        InvalidDataError: it lists every fault of the file with its rows.
    """
    records, faults = read_records(raw, RankedLine)
    faults += _faults_between(records, development)
    if faults:
        raise InvalidDataError(sorted(faults, key=lambda fault: fault.row), _ADVICE)
    numbers: dict[tuple[str, str], int] = {}
    n_texts: dict[str, int] = {}
    table = []
    for record in (each.record for each in records):
        for candidate in record.candidates:
            key = (record.example_id, _folded(candidate.text))
            if key not in numbers:
                numbers[key] = n_texts.get(record.example_id, 0)
                n_texts[record.example_id] = numbers[key] + 1
            table.append(
                {
                    "example_id": record.example_id,
                    "ranked_by": record.ranked_by,
                    "sample_index": numbers[key],
                    **candidate.model_dump(),
                }
            )
    return pd.DataFrame(table)


def _faults_between(records: Sequence[ReadRecord[RankedLine]], development: DataFrame[Examples]) -> Iterator[Fault]:
    """Find what is wrong only in view of other rows, or of the development split."""
    initial = dict(zip(development["example_id"], development["initial_output"], strict=True))
    first: dict[tuple[str, str], int] = {}
    for each in records:
        row, record = each.row, each.record
        place = (record.example_id, record.ranked_by)
        if (number := first.setdefault(place, row.number)) != row.number:
            found = f"{record.ranked_by} ranks {record.example_id}, as in row {number}"
            yield _fault(row, "ranked_by", found, "one row per example and ranker")
        if record.example_id not in initial:
            expected = f"the id of one of the {len(initial)} examples of the development split"
            yield _fault(row, "example_id", f'"{record.example_id}"', expected)
        else:
            yield from _faults_of_initial(row, record, initial)


def _faults_of_initial(row: RawRow, record: RankedLine, initial: Mapping[str, object]) -> Iterator[Fault]:
    known = _folded(text_or_empty(initial[record.example_id]))
    for index, candidate in enumerate(record.candidates):
        column = f"candidates[{index}].is_initial_output"
        is_same = _folded(candidate.text) == known
        if candidate.is_initial_output and not is_same:
            expected = f"true only for the initial output that the development split has of {record.example_id}"
            yield _fault(row, column, "true for another text", expected)
        elif is_same and known and not candidate.is_initial_output:
            yield _fault(row, column, "false for the initial output itself", "true")


def _fault(row: RawRow, column: str, found: str, expected: str) -> Fault:
    return Fault(row.file, row.number, column, found, expected, printable(row.text()))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
