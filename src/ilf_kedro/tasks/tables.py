"""A task's examples and comparisons as tables, and the fields that templates and verifiers see of their rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from ilf_kedro.prompting.messages import Message, messages_from_json
from ilf_kedro.schemas import Comparisons, DataFrame, Examples, Split
from ilf_kedro.tasks.options import Task
from ilf_kedro.tasks.rows import Comparison, Example, Subject

__all__ = ["Field", "comparisons_table", "examples_table", "fields_of"]

Field = object
"""What a field holds: text, a tuple of messages, or whatever a kept column has; null where the data have nothing."""

_WORDS = ("initial_output", "feedback", "reference", "annotator", "group")


def examples_table(task: Task, split: Split, examples: Sequence[Example]) -> DataFrame[Examples]:
    """Return the examples of a split in their order; there may be none."""
    rows = [
        {
            **_about(each.subject, split, position),
            "initial_output": each.initial_output,
            "feedback": each.feedback,
            "reference": each.reference,
            "other": json.dumps(each.other),
        }
        for position, each in enumerate(examples)
    ]
    return Examples.validate(pd.DataFrame(rows, columns=_columns(task, Examples)))


def comparisons_table(task: Task, split: Split, comparisons: Sequence[Comparison]) -> DataFrame[Comparisons]:
    """Return the comparisons of a split in their order; there may be none."""
    rows = [
        {
            **_about(each.subject, split, position),
            "chosen": each.preference.chosen,
            "rejected": each.preference.rejected,
            "preferred": each.preference.preferred,
        }
        for position, each in enumerate(comparisons)
    ]
    return Comparisons.validate(pd.DataFrame(rows, columns=_columns(task, Comparisons)))


def fields_of(task: Task, row: Mapping[str, object] | pd.Series) -> dict[str, Field]:
    """Return what a template or a verifier sees of a table's row, by name.

    These are the inputs (conversations as messages), the project's words that the table has, and the kept columns:
    each by its own name unless that is one of the former, and all of them as `other`. Missing values are None.
    """
    other = json.loads(str(row.get("other") or "{}"))
    fields: dict[str, Field] = {**other, "other": other}
    for name in ("example_id", "input_id", *_WORDS, "chosen", "rejected", "preferred"):
        if name in row:
            fields[name] = _text(row[name])
    for name, options in task.inputs.items():
        text = _text(row.get(name))
        fields[name] = _messages(text) if options.kind == "messages" else text
    return fields


def _about(subject: Subject, split: Split, position: int) -> dict[str, object]:
    return {
        "example_id": subject.example_id,
        "input_id": subject.input_id,
        "split": split,
        "position": position,
        **subject.inputs,
        "annotator": subject.annotator,
        "group": subject.group,
    }


def _columns(task: Task, table: type[Examples | Comparisons]) -> list[str]:
    """Return the columns in their order: the inputs after what says which example it is."""
    names = table.column_names()
    place = names.index("position") + 1
    return [*names[:place], *task.inputs, *names[place:]]


def _text(cell: object) -> str | None:
    return cell if isinstance(cell, str) else None


def _messages(text: str | None) -> tuple[Message, ...]:
    return messages_from_json(text or "")
