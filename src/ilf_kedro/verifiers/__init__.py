"""Verifiers to name in the parameters, as `selection.verifier.callable: ilf_kedro.verifiers:matches`.

A verifier is any function of a `Row`, and of keyword arguments from the parameters, that returns a number: higher
is better. It runs in a process of its own (scoring/verifier.py), so this package imports nothing heavy. It must
depend on its arguments alone, or the same run gives other scores.
"""

from __future__ import annotations

import re

from ilf_kedro.verifiers.row import Row
from ilf_kedro.verifiers.unit_tests import passes_tests

__all__ = ["Row", "lacks", "matches", "numbers_from", "passes_tests", "words_within"]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def words_within(row: Row, *, fewest: int = 1, most: int = 60) -> bool:
    """Tell whether the output has at least `fewest` and at most `most` words."""
    return fewest <= len(row.output.split()) <= most


def matches(row: Row, *, pattern: str, ignore_case: bool = False) -> bool:
    """Tell whether the regular expression `pattern` is found somewhere in the output."""
    return re.search(pattern, row.output, re.IGNORECASE if ignore_case else 0) is not None


def lacks(row: Row, *, pattern: str, ignore_case: bool = False) -> bool:
    """Tell whether the regular expression `pattern` is found nowhere in the output."""
    return not matches(row, pattern=pattern, ignore_case=ignore_case)


def numbers_from(row: Row, *, fields: tuple[str, ...]) -> float:
    """Return the share of the output's numbers, in digits, that stand in one of the named fields; 1 without any."""
    known = {number for name in fields for number in _NUMBER.findall(row.text(name))}
    found = _NUMBER.findall(row.output)
    return sum(number in known for number in found) / len(found) if found else 1.0
