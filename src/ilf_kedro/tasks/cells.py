"""The cells of a row, read by the task's columns: every one that is not what it must be is a fault with a remedy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ilf_kedro.schemas import Fault, RawRow, show_value
from ilf_kedro.tasks.expressions import ITEM, EvaluationError, Getter
from ilf_kedro.tasks.options import ComparisonColumns
from ilf_kedro.tasks.rows import Preference
from ilf_kedro.tasks.values import CellError, Reader

__all__ = ["Cell", "Member", "PreferenceCells", "members"]

Place = Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Member:
    """A row, or one member of the list in it that is exploded, with its number from 1; and the row's faults so far."""

    row: RawRow
    values: Mapping[str, object]
    faults: list[Fault]
    number: int | None = None


@dataclass(slots=True)
class Cell:
    """One of the project's words: where it stands in a row, how it is read, and whether it must be there.

    `seen` tells whether some row had something there.
    """

    where: str
    getter: Getter
    read: Reader
    required: bool = False
    seen: bool = False

    def raw(self, member: Member) -> object:
        """Return what the row has here as it is; null, with a fault added, where the expression does not fit it."""
        try:
            found = self.getter(member.values)
        except EvaluationError as error:
            self.fault(member, str(error), "an expression that fits the row")
            return None
        self.seen = self.seen or found is not None
        return found

    def value(self, member: Member) -> str | None:
        """Return what the row has here; null, with a fault added, where it is not what it must be."""
        before, found = len(member.faults), self.raw(member)
        if len(member.faults) > before or (found is None and not self.required):
            return None
        try:
            text = self.read(found, self.getter.text)
        except CellError as error:
            self.fault(member, error.found, error.expected)
            return None
        if text is None and self.required:
            lacks = self.getter.is_plain and self.getter.text not in member.values
            self.fault(member, "no such column" if lacks else show_value(found), "text that is not empty")
        return text

    def fault(self, member: Member, found: str, expected: str) -> None:
        """Add a fault of this cell."""
        row, name = member.row, self.getter.text
        member.faults.append(Fault(row.file, row.number, name, found, f"{expected} ({self.where})", row.text()))


@dataclass(frozen=True, slots=True)
class PreferenceCells:
    """Two outputs and which was preferred, as a row has them."""

    options: ComparisonColumns
    a: Cell
    b: Cell
    preferred: Cell | None

    @property
    def of_item(self) -> bool:
        """Tell whether the two outputs are those of the exploded member, not of the row."""
        return ITEM in self.a.getter.columns | self.b.getter.columns

    def value(self, member: Member, example_id: str) -> Preference | None:
        """Return the chosen and the rejected output; None without a preference, and for a tie or two equal outputs."""
        before = len(member.faults)
        a, b, side = self.a.value(member), self.b.value(member), self._side(member)
        if len(member.faults) > before or side is None or (side == "always a" and a is None and b is None):
            return None
        if a is None or b is None:
            missing = " and ".join(cell.getter.text for cell, text in ((self.a, a), (self.b, b)) if text is None)
            (self.preferred or self.a).fault(
                member, f"a preference, but nothing in {missing}", "both outputs, or no preference"
            )
            return None
        if side == "tie" or a == b:
            return None
        if side == "always a":
            return Preference(a, b, _drawn_place(example_id))
        return Preference(b, a, "b") if side == "b" else Preference(a, b, "a")

    def _side(self, member: Member) -> str | None:
        if self.preferred is None:
            return "always a"
        found = self.preferred.raw(member)
        if found is None:
            return None
        for side, cells in self.options.values.items():
            if any(found == cell and isinstance(found, bool) == isinstance(cell, bool) for cell in cells):
                return side
        known = ", ".join(show_value(cell) for cells in self.options.values.values() for cell in cells)
        expected = f"one of {known}, or null; say what stands for a, b and a tie in `values`"
        self.preferred.fault(member, show_value(found), expected)
        return None


def members(row: RawRow, explode: Cell | None, faults: list[Fault]) -> Iterator[Member]:
    """Yield the row, or where a list is exploded, one row per member of it."""
    whole = Member(row, row.values, faults)
    if explode is None:
        yield whole
        return
    found = explode.raw(whole)
    if found is not None and not isinstance(found, list):
        explode.fault(whole, show_value(found), "a list to make an example of each of its members, or null")
        return
    for number, item in enumerate(found or (), start=1):
        yield Member(row, {**row.values, ITEM: item}, faults, number)


def _drawn_place(example_id: str) -> Place:
    """Draw a place by identifier, so that no model learns that the first of two is the better."""
    return "a" if hashlib.sha256(example_id.encode("utf-8")).digest()[0] % 2 else "b"
