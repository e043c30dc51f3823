"""Rows of any source to a task's examples and comparisons, with every fault of every file found at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ilf_kedro.schemas import Fault, RawRow, RawRows, show_value
from ilf_kedro.tasks.cells import Cell, PreferenceCells, members
from ilf_kedro.tasks.compiler import Compiler, Identity
from ilf_kedro.tasks.options import ComparisonFiles, Task
from ilf_kedro.tasks.rows import Comparison, Example, Subject
from ilf_kedro.tasks.shared_inputs import shared_faults

__all__ = ["Mapped", "map_rows"]


Check = Callable[[object], object]
"""Raises ValueError, which says what is wrong, where a value cannot be used."""


@dataclass(slots=True)
class Mapped:
    """The examples and comparisons of each source, by its name, and the faults of their files.

    Rows with a fault give neither. `n_without_members` rows had nothing to explode.
    """

    examples: dict[str, list[Example]] = field(default_factory=dict)
    comparisons: dict[str, list[Comparison]] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    n_without_members: int = 0

    @property
    def every_fault(self) -> list[Fault]:
        """Return the faults of all sources."""
        return [fault for of_source in self.faults.values() for fault in of_source]


def map_rows(
    task: Task,
    sources: Mapping[str, RawRows],
    comparison_sources: Mapping[str, RawRows] | None = None,
    *,
    checks: Mapping[str, Check] | None = None,
) -> Mapped:
    """Map the rows of every source to examples and comparisons; the names of the sources are those of the splits.

    Faults are collected, not raised: a column or key that no row has, an expression that does not parse or is null
    in every row, cells that hold something else than they must, identifiers that repeat and, where the splits are
    given, inputs that two of them share. `comparison_sources` are read by `task.comparisons`; `checks` are of inputs
    and kept columns, by their names, where a row has them.
    """
    apart = comparison_sources or {}
    every = list(dict.fromkeys((*sources, *apart)))
    mapped = Mapped({name: [] for name in sources}, {name: [] for name in every}, {name: [] for name in every})
    for name, rows in (*sources.items(), *apart.items()):
        mapped.faults[name] += rows.faults
    _map_sources(sources, mapped, lambda compiler: _ExampleMapper.compiled(task, compiler))
    if task.comparisons is not None:
        options = task.comparisons
        _map_sources(apart, mapped, lambda compiler: _ComparisonMapper.compiled(task, options, compiler))
    for source, examples in mapped.examples.items():
        for example in examples:
            mapped.faults[source] += _check(task, example, checks or {})
    for source, faults in shared_faults(task, mapped.examples, mapped.comparisons).items():
        mapped.faults[source] += faults
    _leave_out_faulty(mapped)
    return mapped


def _map_sources(
    sources: Mapping[str, RawRows], mapped: Mapped, compiled: Callable[[Compiler], _ExampleMapper | _ComparisonMapper]
) -> None:
    """Compile the columns against all rows, and map these where that brings up no fault."""
    rows = [row for source in sources.values() for row in source.rows]
    if not rows:
        return
    first = next(name for name, source in sources.items() if source.rows)
    compiler = Compiler(sources[first].file, list(dict.fromkeys(column for row in rows for column in row.values)))
    mapper = compiled(compiler)
    if not compiler.faults:
        for name, source in sources.items():
            for row in source.rows:
                mapped.faults[name] += mapper.map(row, name, mapped)
        compiler.refuse_null_everywhere()
    mapped.faults[first] += compiler.faults


@dataclass(slots=True)
class _ExampleMapper:
    """Maps rows to examples, and to the comparisons that stand in the same row."""

    task: Task
    explode: Cell | None
    inputs: Mapping[str, Cell]
    identity: Identity
    texts: Mapping[str, Cell | None]
    preference: PreferenceCells | None
    kept: Collection[str]

    @classmethod
    def compiled(cls, task: Task, compiler: Compiler) -> _ExampleMapper:
        """Compile the task's columns; the compiler has the faults."""
        columns, where = task.columns, "task.columns"
        explode = compiler.exploded("task.explode", task.explode)
        inputs = compiler.inputs(task, {name: each.column for name, each in task.inputs.items()}, "task.inputs")
        identity = Identity.compiled(compiler, where, columns.example_id, columns.annotator, columns.group)
        texts = {
            name: compiler.cell(f"{where}.{name}", getattr(columns, name))
            for name in ("initial_output", "feedback", "reference")
        }
        preference = compiler.preference(columns.comparison, f"{where}.comparison")
        if task.other_columns == "refuse" and not compiler.faults:
            compiler.refuse_unread()
        return cls(task, explode, inputs, identity, texts, preference, compiler.unread())

    def map(self, row: RawRow, source: str, mapped: Mapped) -> list[Fault]:
        """Add what a row gives to `mapped`, under the name of its source; return its faults."""
        faults: list[Fault] = []
        n_members = 0
        for member in members(row, self.explode, faults):
            n_members += 1
            subject = self.identity.subject(member, self.task, self.inputs)
            texts = {name: cell.value(member) if cell else None for name, cell in self.texts.items()}
            other = {name: member.values[name] for name in self.kept if name in member.values}
            mapped.examples[source].append(Example(subject, **texts, other=other))
            if self.preference is None or not (self.preference.of_item or member.number in (None, 1)):
                continue
            if preference := self.preference.value(member, subject.example_id):
                mapped.comparisons[source].append(Comparison(subject, preference))
        mapped.n_without_members += n_members == 0
        return faults


@dataclass(slots=True)
class _ComparisonMapper:
    """Maps the rows of files that hold comparisons alone."""

    task: Task
    explode: Cell | None
    inputs: Mapping[str, Cell]
    identity: Identity
    preference: PreferenceCells | None

    @classmethod
    def compiled(cls, task: Task, options: ComparisonFiles, compiler: Compiler) -> _ComparisonMapper:
        """Compile the columns of `task.comparisons`; the compiler has the faults."""
        where = "task.comparisons"
        return cls(
            task,
            compiler.exploded(f"{where}.explode", options.explode),
            compiler.inputs(task, options.inputs, f"{where}.inputs"),
            Identity.compiled(compiler, where, options.example_id, options.annotator, options.group),
            compiler.preference(options, where),
        )

    def map(self, row: RawRow, source: str, mapped: Mapped) -> list[Fault]:
        """Add the comparisons of a row to `mapped`, under the name of its source; return its faults."""
        faults: list[Fault] = []
        for member in members(row, self.explode, faults):
            subject = self.identity.subject(member, self.task, self.inputs)
            if self.preference is not None and (preference := self.preference.value(member, subject.example_id)):
                mapped.comparisons[source].append(Comparison(subject, preference))
        return faults


def _check(task: Task, example: Example, checks: Mapping[str, Check]) -> Iterator[Fault]:
    """Yield a fault for each field of the example that its check refuses."""
    for name, check in checks.items():
        value = example.subject.inputs.get(name, example.other.get(name))
        try:
            if value is not None:
                check(value)
        except ValueError as error:
            column = task.inputs[name].column if name in task.inputs else name
            place, expected = example.subject, f"what can be used; correct the row, or leave {name!r} null: {error}"
            yield Fault(place.file, place.number, column, show_value(value), expected)


def _leave_out_faulty(mapped: Mapped) -> None:
    """Sort the faults by row, and leave out all that comes of a row with one."""
    faulty = {(fault.file, fault.row) for fault in mapped.every_fault}
    for faults in mapped.faults.values():
        faults.sort(key=lambda fault: (fault.file, fault.row))
    for examples in mapped.examples.values():
        examples[:] = [each for each in examples if _place(each.subject) not in faulty]
    for comparisons in mapped.comparisons.values():
        comparisons[:] = [each for each in comparisons if _place(each.subject) not in faulty]


def _place(subject: Subject) -> tuple[str, int]:
    return subject.file, subject.number
