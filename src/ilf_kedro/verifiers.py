"""Verifiers to name in the parameters, as `selection.verifier.callable: ilf_kedro.verifiers:matches`.

A verifier is any function of a `Row`, and of keyword arguments from the parameters, that returns a number: higher
is better. It runs in a process of its own (scoring/verifier.py), so this module imports nothing heavy. It must
depend on its arguments alone, or the same run gives other scores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Row", "lacks", "matches", "numbers_from_inputs", "words_within"]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Row:
    """What a verifier is given: a refinement and all that it was made from; a text that is missing is empty."""

    example_id: str
    title: str
    post: str
    initial_output: str
    feedback: str
    refinement: str


def words_within(row: Row, *, fewest: int = 1, most: int = 60) -> bool:
    """Tell whether the refinement has at least `fewest` and at most `most` words."""
    return fewest <= len(row.refinement.split()) <= most


def matches(row: Row, *, pattern: str, ignore_case: bool = False) -> bool:
    """Tell whether the regular expression `pattern` is found somewhere in the refinement."""
    return re.search(pattern, row.refinement, re.IGNORECASE if ignore_case else 0) is not None


def lacks(row: Row, *, pattern: str, ignore_case: bool = False) -> bool:
    """Tell whether the regular expression `pattern` is found nowhere in the refinement."""
    return not matches(row, pattern=pattern, ignore_case=ignore_case)


def numbers_from_inputs(row: Row) -> float:
    """Return the share of the refinement's numbers, in digits, that stand in the title or the post; 1 without any."""
    known = set(_NUMBER.findall(f"{row.title} {row.post}"))
    found = _NUMBER.findall(row.refinement)
    return sum(number in known for number in found) / len(found) if found else 1.0
