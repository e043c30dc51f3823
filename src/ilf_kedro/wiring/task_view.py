"""Shows a task's data in a terminal, wide or narrow; a text of the data can neither colour it nor move its cursor."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ilf_kedro.prompting import PromptTemplate, TemplateError, fill
from ilf_kedro.prompting.messages import conversation_in, transcript
from ilf_kedro.schemas import SPLITS, Split, printable, text_or_empty
from ilf_kedro.schemas.wording import counted
from ilf_kedro.tasks import Field, fields_of, left_out
from ilf_kedro.wiring.task_data import TaskData

__all__ = ["TaskView"]

_COUNTED = ("examples", "inputs", "feedback", "initial_outputs", "references", "comparisons", "annotators", "groups")
_ALWAYS = _COUNTED[:6]
_WORDS = ("initial_output", "feedback", "reference", "annotator", "group")
_WIDE = 80  # columns of a terminal that has room for expressions
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class TaskView:
    """Writes to the console what the data of a task are; texts are shortened to `lines`, where given."""

    data: TaskData
    lines: int | None = None
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=False))

    def show_offer(self) -> None:
        """Show how much of what each split has, where the task looks for it, and what is left out for lack of it."""
        task, offer = self.data.task, self.data.offer
        self.console.print(Rule(Text(f"{task.name} ({self.data.environment})", style="bold")))
        there = [split for split in SPLITS if offer.splits[split].examples or offer.splits[split].comparisons]
        shown = [what for what in _COUNTED if what in _ALWAYS or any(getattr(offer.splits[s], what) for s in there)]
        is_wide = self.console.width >= _WIDE
        padding = (0, 2 if is_wide else 1, 0, 0)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=padding)
        table.add_column("", no_wrap=True, min_width=max(map(len, shown)))
        for split in there:
            table.add_column(split, justify="right", min_width=5)
        if is_wide:
            table.add_column("looked for in", overflow="fold", style="dim")
        places: dict[str, str | None] = {str(what): place for what, place in offer.columns.items()}
        places |= {"inputs": "", "annotators": task.columns.annotator, "groups": task.columns.group}
        for what in shown:
            counts = [f"{getattr(offer.splits[split], what):,}" for split in there]
            place = "–" if (column := places[what]) is None else _safe(column)
            table.add_row(what.replace("_", " "), *counts, *([place] if is_wide else []))
        self.console.print(table)
        for sentence in left_out(task, offer):
            self._line(f"• {sentence}")
        if not self.data.faults:
            self._line("• Every row can be read.")

    def show_rows(self, n: int) -> None:
        """Show the first rows of the training split."""
        for number in range(1, min(n, len(self.data.examples["train"])) + 1):
            self.show_row("train", number)

    def show_row(self, split: Split, number: int) -> None:
        """Show a row's inputs and the project's words for what it has; kept columns by name, in full where all is."""
        row = self._row(split, number)
        fields = fields_of(self.data.task, row)
        self.console.print()
        self.console.print(Rule(Text(_safe(f"{split} {number}: {row['example_id']}"), style="bold"), align="left"))
        for name, options in self.data.task.inputs.items():
            self._text(name if options.shown else f"{name} (not in prompts)", _shown(fields[name]))
        for name in _WORDS:
            if fields[name] is not None:
                self._text(name.replace("_", " "), _shown(fields[name]))
        other = fields["other"]
        kept = other if isinstance(other, dict) else {}
        if self.lines is not None:
            kept = {"kept columns": ", ".join(kept)} if kept else {}
        for name, value in kept.items():
            self._text(name, _shown(value))

    def show_prompts(self, split: Split, number: int) -> None:
        """Show every prompt as the row fills it; ‹words› stand for texts that only a run makes."""
        row = self._row(split, number)
        names = counted(len(self.data.prompts), "prompt")
        self.console.print()
        title = f"{names}, filled from {split} {number}; ‹…›: made by a run"
        self.console.print(Rule(Text(title, style="bold"), align="left"))
        for name, template in self.data.prompts.items():
            text = _rendered(template, row, self.data.task.inputs)
            self._text(name, text, style="red" if isinstance(template, str) else "")

    def _row(self, split: Split, number: int) -> dict[str, object]:
        return {str(name): cell for name, cell in self.data.examples[split].iloc[number - 1].items()}

    def _text(self, name: str, text: str, style: str = "") -> None:
        self.console.print(Text(_safe(name), style="bold cyan"))
        for line in self._cut(_safe(text)):
            self.console.print(Text(f"  {line}", style=style), no_wrap=True, overflow="ignore", crop=False)

    def _cut(self, text: str) -> Iterator[str]:
        """Yield the text's lines as the console will wrap them, as many as are shown, and how many more there are."""
        wrapped = [
            line.plain.rstrip()
            for paragraph in text.split("\n")
            for line in Text(paragraph).wrap(self.console, max(20, self.console.width - 2))
        ]
        yield from wrapped[: self.lines]
        if self.lines is not None and len(wrapped) > self.lines:
            yield f"… {counted(len(wrapped) - self.lines, 'more line')}"

    def _line(self, text: str) -> None:
        self.console.print(Text(_safe(text)))


def _rendered(template: PromptTemplate | str, row: Mapping[str, object], inputs: Mapping[str, object]) -> str:
    if isinstance(template, str):
        return template
    stand_ins = {
        slot: f"‹{slot}›" for slot in template.slots if slot not in inputs and not text_or_empty(row.get(slot))
    }
    try:
        return fill(template, {**row, **stand_ins}).text
    except TemplateError as error:
        return str(error)


def _shown(value: Field) -> str:
    """Return a field as people read it: a conversation as its transcript, what is no text as JSON."""
    if value is None:
        return "–"
    if isinstance(value, tuple):
        return transcript(value)
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    messages = conversation_in(value)
    return value if messages is None else transcript(messages)


def _safe(text: str) -> str:
    """Show control characters, and marks that turn the direction of writing, as escapes."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], printable(text))
