"""Splits of a task's examples: those that are given, checked for near-duplicates, or shares of one source."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ilf_kedro.schemas import SPLITS, DataFrame, Fault, NearDuplicatePairs, Split, UserError, show_value
from ilf_kedro.tasks.mapping import Mapped
from ilf_kedro.tasks.near_duplicates import NearDuplicate, near_duplicates
from ilf_kedro.tasks.options import Shares, Task
from ilf_kedro.tasks.rows import Subject

__all__ = ["Divided", "divide"]


@dataclass(slots=True)
class Divided:
    """What a task's sources give, by split, and the pairs of inputs in different splits that are nearly the same."""

    mapped: Mapped
    near_duplicates: DataFrame[NearDuplicatePairs]


def divide(task: Task, mapped: Mapped, seed: int) -> Divided:
    """Return the examples and comparisons by split.

    Given splits stay as they are; an input that is nearly the same as one of another split is a fault of the later one.
    By shares, all rows of one input, and of inputs nearly the same, go to one split, with `by: group` in proportion
    within each group; the order is drawn too, so that subsets are samples. Both follow from the seed and the inputs.

    Raises:
        UserError: a share leaves a split empty, or a group has one input alone.
    """
    inputs = _Inputs.of(task, mapped)
    pairs = near_duplicates(inputs.texts, task.near_duplicates.report)
    if isinstance(task.splits, Shares):
        alike = [pair for pair in pairs if pair.similarity >= (task.near_duplicates.refuse or 2)]
        mapped = _by_shares(task.splits, task.columns.group, mapped, inputs, alike, seed)
        inputs = _Inputs.of(task, mapped)
    between = [pair for pair in pairs if inputs.splits[pair.first] != inputs.splits[pair.second]]
    if not isinstance(task.splits, Shares):
        _refuse(task, mapped, inputs, between)
    return Divided(mapped, NearDuplicatePairs.from_rows(inputs.row(pair) for pair in between))


@dataclass(slots=True)
class _Inputs:
    """Every input once: its text, where it first stands, in which split and group, by its `input_id`."""

    texts: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, mapped: Mapped) -> _Inputs:
        inputs = cls()
        for source, subject in _subjects(mapped):
            if subject.input_id not in inputs.subjects:
                inputs.subjects[subject.input_id] = subject
                inputs.splits[subject.input_id] = source
                texts = (subject.inputs.get(name) or "" for name in task.identifying_inputs)
                inputs.texts[subject.input_id] = "\n".join(texts)
        return inputs

    def row(self, pair: NearDuplicate) -> dict[str, object]:
        one, two = self.subjects[pair.first], self.subjects[pair.second]
        return {
            "split": self.splits[pair.second],
            "example_id": two.example_id,
            "other_split": self.splits[pair.first],
            "other_example_id": one.example_id,
            "similarity": pair.similarity,
            "text": self.texts[pair.second],
            "other_text": self.texts[pair.first],
        }


def _subjects(mapped: Mapped) -> Iterator[tuple[str, Subject]]:
    for source in dict.fromkeys((*mapped.examples, *mapped.comparisons)):
        for example in mapped.examples.get(source, ()):
            yield source, example.subject
        for comparison in mapped.comparisons.get(source, ()):
            yield source, comparison.subject


def _refuse(task: Task, mapped: Mapped, inputs: _Inputs, pairs: Sequence[NearDuplicate]) -> None:
    """Make a fault of every input that is too similar to one of an earlier split, and leave its rows out."""
    refused = task.near_duplicates.refuse
    later: dict[str, NearDuplicate] = {}
    for pair in pairs:
        if refused is not None and pair.similarity >= refused:
            later.setdefault(pair.second, pair)
    for source, subject in _subjects(mapped):
        if subject.input_id in later:
            pair = later[subject.input_id]
            other = inputs.subjects[pair.first]
            shown = show_value(inputs.texts[pair.second])
            found = f"{shown}, nearly the same ({pair.similarity:.2f}) as in {other.file}:{other.number}"
            expected = f"an input that no other split has, or task.near_duplicates.refuse above {pair.similarity:.2f}"
            column = " + ".join(task.inputs[name].column for name in task.identifying_inputs)
            mapped.faults[source].append(Fault(subject.file, subject.number, column, found, expected))
    for examples in mapped.examples.values():
        examples[:] = [each for each in examples if each.subject.input_id not in later]
    for comparisons in mapped.comparisons.values():
        comparisons[:] = [each for each in comparisons if each.subject.input_id not in later]


def _by_shares(
    shares: Shares,
    column: str | None,
    mapped: Mapped,
    inputs: _Inputs,
    alike: Sequence[NearDuplicate],
    seed: int,
) -> Mapped:
    leader = _leaders(inputs.subjects, alike)
    units = sorted(set(leader.values()), key=lambda name: _draw(seed, name))
    groups: dict[str | None, list[str]] = {}
    for unit in units:
        groups.setdefault(inputs.subjects[unit].group if shares.by == "group" else None, []).append(unit)
    _refuse_single(shares, column, groups, inputs)
    chosen = _assign(shares, [unit for members in groups.values() for unit in members])
    _refuse_empty(shares, chosen, len(units))
    place = {unit: number for number, unit in enumerate(units)}
    divided = Mapped(
        {split: [] for split in SPLITS},
        {split: [] for split in SPLITS},
        mapped.faults,
        mapped.n_without_members,
    )
    for example in (each for rows in mapped.examples.values() for each in rows):
        divided.examples[chosen[leader[example.subject.input_id]]].append(example)
    for comparison in (each for rows in mapped.comparisons.values() for each in rows):
        divided.comparisons[chosen[leader[comparison.subject.input_id]]].append(comparison)
    for split in SPLITS:
        divided.examples[split].sort(key=lambda each: place[leader[each.subject.input_id]])
        divided.comparisons[split].sort(key=lambda each: place[leader[each.subject.input_id]])
    return divided


def _leaders(names: Mapping[str, Subject], alike: Sequence[NearDuplicate]) -> dict[str, str]:
    """Return for each input the first of those that it is joined with, itself where it stands alone."""
    leader = {name: name for name in names}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for pair in alike:
        one, two = sorted((find(pair.first), find(pair.second)))
        leader[two] = one
    return {name: find(name) for name in names}


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _assign(shares: Shares, units: Sequence[str]) -> dict[str, Split]:
    """Give each unit in turn to the split that lacks most, so that every stretch of them keeps the proportions."""
    counts: Counter[Split] = Counter()
    chosen: dict[str, Split] = {}
    for number, unit in enumerate(units, start=1):
        split = max(SPLITS, key=lambda each: shares.of_splits[each] * number - counts[each])
        counts[split] += 1
        chosen[unit] = split
    return chosen


def _refuse_single(
    shares: Shares, column: str | None, groups: Mapping[str | None, Sequence[str]], inputs: _Inputs
) -> None:
    several = sum(share > 0 for share in shares.of_splits.values()) > 1
    single = [(group, units[0]) for group, units in groups.items() if len(units) == 1]
    if shares.by != "group" or not several or not single:
        return
    shown = [
        f"{show_value(group)} ({inputs.subjects[unit].file}:{inputs.subjects[unit].number})" for group, unit in single
    ]
    more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""  # enough to see which
    raise UserError(
        f"task.splits.by: {len(shown)} group(s) of {column} have one input alone, which cannot be divided in "
        f"proportion: {', '.join(shown[:10])}{more}. Merge small groups in the data or by the expression of "
        "task.columns.group, or leave `by` out of task.splits."
    )


def _refuse_empty(shares: Shares, chosen: Mapping[str, Split], n_units: int) -> None:
    counts = Counter(chosen.values())
    empty = [split for split, share in shares.of_splits.items() if share > 0 and not counts[split]]
    if empty:
        named = ", ".join(f"{split} ({shares.of_splits[split]:g})" for split in empty)
        raise UserError(
            f"task.splits: {named} would have none of the {n_units} inputs; expected shares of at least "
            f"{1 / max(1, n_units):.3g} each. Raise them, set them to 0, or add data."
        )
