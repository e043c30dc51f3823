"""Identifiers that repeat, and inputs that two given splits share: the first such row stays, the others are faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ilf_kedro.schemas import Fault, show_value
from ilf_kedro.tasks.options import Task
from ilf_kedro.tasks.rows import Comparison, Example, Subject

__all__ = ["shared_faults"]

_Place = tuple[str, str, int]  # source, file, number


def shared_faults(
    task: Task, examples: Mapping[str, Sequence[Example]], comparisons: Mapping[str, Sequence[Comparison]]
) -> dict[str, list[Fault]]:
    """Return the faults by source: with train first, never a row of train for a leak.

    Identifiers and inputs are compared after folding case and white space, which people and programs mix up; a row
    with faults of its own counts as well, so that all faults are told at once. Comparisons of one split may not have
    an input that another split has either, for a reward model learns from them.
    """
    faults: dict[str, list[Fault]] = {source: [] for source in (*examples, *comparisons)}
    for rows in (examples, comparisons if task.comparisons else {}):
        for source, fault in _repeated_ids(task, rows):
            faults[source].append(fault)
    if task.given_splits:
        for source, fault in _leaks(task, examples, comparisons):
            faults[source].append(fault)
    return faults


def _repeated_ids(
    task: Task, sources: Mapping[str, Sequence[Example] | Sequence[Comparison]]
) -> Iterator[tuple[str, Fault]]:
    first: dict[str, Subject] = {}
    column = task.columns.example_id or "(hash of the inputs)"
    for source, rows in sources.items():
        for row in (each.subject for each in rows if each.subject.example_id):  # a missing one is a fault already
            folded = " ".join(row.example_id.split()).casefold()
            if (known := first.setdefault(folded, row)) is row:
                continue
            own, other = show_value(row.example_id), show_value(known.example_id)
            like = "which is also" if own == other else f"which, but for case and blanks, is {other}"
            found = f"{own}, {like} in {known.file}:{known.number}"
            yield source, Fault(row.file, row.number, column, found, "an id of its own (example_id)")


def _leaks(
    task: Task, examples: Mapping[str, Sequence[Example]], comparisons: Mapping[str, Sequence[Comparison]]
) -> Iterator[tuple[str, Fault]]:
    first: dict[str, _Place] = {}
    names = task.identifying_inputs
    column = " + ".join(task.inputs[name].column for name in names)
    for source in dict.fromkeys((*examples, *comparisons)):
        subjects = [each.subject for each in examples.get(source, ())]
        subjects += [each.subject for each in comparisons.get(source, ())]
        subjects = [each for each in subjects if any(each.inputs.get(name) for name in names)]  # else its own fault
        for row in {(each.file, each.number, each.input_id): each for each in subjects}.values():
            known = first.setdefault(row.input_id, (source, row.file, row.number))
            if known[0] != source:
                text = next((row.inputs[name] for name in names if row.inputs.get(name)), None)
                found = f"{show_value(text)}, which is also in {known[1]}:{known[2]}"
                expected = f"an input that no other split has (task.inputs.{', '.join(names)})"
                yield source, Fault(row.file, row.number, column, found, expected)
