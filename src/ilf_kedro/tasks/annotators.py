"""Leaves out the rows of some annotators, such as one who withdrew what they wrote."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

from ilf_kedro.schemas import Fault, UserError, nearest
from ilf_kedro.tasks.mapping import Mapped
from ilf_kedro.tasks.rows import Comparison, Example

__all__ = ["without_annotators"]

_Row = TypeVar("_Row", Example, Comparison)


def without_annotators(mapped: Mapped, annotators: Collection[str], column: str | None) -> Mapped:
    """Return the rows of everyone else; those of the annotators are among the faults, each with this reason.

    Called once splits are made, so that all other rows stay in theirs. `column` is where the task finds the annotator.

    Raises:
        UserError: no row is of one of them; it has the nearest name.
    """
    if not annotators:
        return mapped
    known = sorted({row.subject.annotator for rows in _tables(mapped) for row in rows if row.subject.annotator})
    if unknown := [name for name in annotators if name not in known]:
        expected = "; ".join(f"found {name!r}, expected {nearest(name, known)}" for name in unknown)
        raise UserError(f"data_prep.without_annotators names nobody who wrote a row: {expected}")
    faults = {source: list(of_source) for source, of_source in mapped.faults.items()}
    expected = "another annotator: data_prep.without_annotators leaves this one out"
    for by_source in (mapped.examples, mapped.comparisons):
        for source, rows in by_source.items():
            for subject in (row.subject for row in rows if row.subject.annotator in annotators):
                fault = Fault(subject.file, subject.number, column, repr(subject.annotator), expected)
                if fault not in (of_source := faults.setdefault(source, [])):  # a row may give both kinds
                    of_source.append(fault)
    return Mapped(
        {source: _others(rows, annotators) for source, rows in mapped.examples.items()},
        {source: _others(rows, annotators) for source, rows in mapped.comparisons.items()},
        faults,
        mapped.n_without_members,
    )


def _tables(mapped: Mapped) -> Iterable[list[Example] | list[Comparison]]:
    return (*mapped.examples.values(), *mapped.comparisons.values())


def _others(rows: Iterable[_Row], annotators: Collection[str]) -> list[_Row]:
    return [row for row in rows if row.subject.annotator not in annotators]
