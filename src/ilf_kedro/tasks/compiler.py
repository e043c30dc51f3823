"""A task's columns, compiled against those that the data have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ilf_kedro.schemas import Fault, nearest
from ilf_kedro.tasks.cells import Cell, Member, PreferenceCells
from ilf_kedro.tasks.expressions import ITEM, ExpressionError, compile_expression
from ilf_kedro.tasks.options import ComparisonColumns, Task
from ilf_kedro.tasks.rows import Subject, hash_of_inputs, input_id
from ilf_kedro.tasks.values import Reader, as_group, as_identifier, as_messages, as_text

__all__ = ["Compiler", "Identity"]


@dataclass(slots=True)
class Compiler:
    """Makes cells of columns and expressions, and collects every fault of them; `file` stands for all in messages."""

    file: str
    columns: Collection[str]
    faults: list[Fault] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)

    def cell(self, where: str, text: str | None, read: Reader = as_text, *, required: bool = False) -> Cell | None:
        """Return the cell at a column or an expression; None where there is none, or it is at fault."""
        if text is None:
            return None
        try:
            getter = compile_expression(text, self.columns)
        except ExpressionError as error:
            self._add(text, error.found, f"{error.expected} ({where})")
            return None
        self.cells.append(Cell(where, getter, read, required))
        return self.cells[-1]

    def exploded(self, where: str, text: str | None) -> Cell | None:
        """Return the cell of the list to explode; from then on the columns have `item`."""
        if text is None:
            return None
        if ITEM in self.columns:
            self._add(ITEM, f"a column {ITEM!r}", f"no such column beside {where}; rename it")
        cell = self.cell(where, text)
        self.columns = [*self.columns, ITEM]
        return cell

    def inputs(self, task: Task, columns: Mapping[str, str], where: str) -> dict[str, Cell]:
        """Return the cells of the task's inputs, as far as `columns` names them."""
        cells = {}
        for name, text in columns.items():
            options = task.inputs[name]
            read = as_messages if options.kind == "messages" else as_text
            if cell := self.cell(f"{where}.{name}", text, read, required=not options.optional):
                cells[name] = cell
        return cells

    def preference(self, options: ComparisonColumns | None, where: str) -> PreferenceCells | None:
        """Return the cells of a comparison; None where there is none, or it is at fault."""
        if options is None:
            return None
        a, b = self.cell(f"{where}.a", options.a), self.cell(f"{where}.b", options.b)
        preferred = self.cell(f"{where}.preferred", options.preferred)
        if a is None or b is None or (preferred is None and options.preferred is not None):
            return None
        return PreferenceCells(options, a, b, preferred)

    def unread(self) -> list[str]:
        """Return the columns that no cell reads."""
        read = {column for cell in self.cells for column in cell.getter.columns} - {ITEM}
        return [column for column in self.columns if column not in read]

    def refuse_unread(self) -> None:
        """Add a fault for every column that no cell reads."""
        known = [cell.getter.text for cell in self.cells]
        for column in self.unread():
            if column != ITEM:
                expected = f"{nearest(column, known)}; or keep it with other_columns: keep"
                self._add(column, "an unknown column", expected)

    def refuse_null_everywhere(self) -> None:
        """Add a fault for every expression that gave null in every row: a key within it is likely mistyped."""
        for cell in self.cells:
            if not (cell.getter.is_plain or cell.seen or cell.required):
                expected = "a value in some row; correct the expression, or leave it out of the task"
                self._add(cell.getter.text, "null in every row", f"{expected} ({cell.where})")

    def _add(self, column: str, found: str, expected: str) -> None:
        self.faults.append(Fault(self.file, 0, column, found, expected))


@dataclass(slots=True)
class Identity:
    """The cells that say which example a row is, whose, and of which group; examples without a name are counted."""

    example_id: Cell | None
    annotator: Cell | None
    group: Cell | None
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def compiled(
        cls, compiler: Compiler, where: str, example_id: str | None, annotator: str | None, group: str | None
    ) -> Identity:
        """Compile the three; the compiler has the faults."""
        return cls(
            compiler.cell(f"{where}.example_id", example_id, as_identifier, required=True),
            compiler.cell(f"{where}.annotator", annotator, as_identifier),
            compiler.cell(f"{where}.group", group, as_group),
        )

    def subject(self, member: Member, task: Task, cells: Mapping[str, Cell]) -> Subject:
        """Return what a row is about."""
        inputs = {name: cell.value(member) for name, cell in cells.items()}
        name = self._name(member, hash_of_inputs(inputs))
        annotator, group = (cell.value(member) if cell else None for cell in (self.annotator, self.group))
        return Subject(name, input_id(task, inputs), inputs, annotator, group, member.row.file, member.row.number)

    def _name(self, member: Member, hashed: str) -> str:
        """Return the example's identifier, with the member's number; without a column a hash, counted if it repeats."""
        if self.example_id is None:
            self.counts[hashed] = self.counts.get(hashed, 0) + 1
            return hashed if self.counts[hashed] == 1 else f"{hashed}-{self.counts[hashed]}"
        name = self.example_id.value(member)
        if name is None:
            return ""  # a fault already
        return name if member.number is None or ITEM in self.example_id.getter.columns else f"{name}-{member.number}"
