"""Tasks and their rows for tests."""

from __future__ import annotations

from ilf_kedro.schemas import RawRows, raw_rows
from ilf_kedro.tasks import Mapped, Task, map_rows


def task(**changes: object) -> Task:
    """A task with one input and the columns of `row`; `changes` replace keys."""
    return Task.model_validate(
        {
            "name": "Translations",
            "words": {"input": "sentence", "output": "translation"},
            "inputs": {"source": "text"},
            "columns": {"example_id": "id", "initial_output": "draft", "feedback": "note", "reference": "ideal"},
            **changes,
        }
    )


def row(number: int, **changes: object) -> dict[str, object]:
    """A valid row; `changes` replace columns, `...` drops one."""
    values = {
        "id": f"r{number}",
        "text": f"Satz Nummer {number}.",
        "draft": f"Sentence {number}.",
        "note": "Say number.",
        "ideal": f"Sentence number {number}.",
        **changes,
    }
    return {name: value for name, value in values.items() if value is not ...}


def sources(**splits: list[dict[str, object]]) -> dict[str, RawRows]:
    """The rows of each split, as from a file of its name."""
    return {split: raw_rows(rows, f"{split}.jsonl") for split, rows in splits.items()}


def mapped(of: Task, *rows: dict[str, object]) -> Mapped:
    """The rows as the training split of a task."""
    return map_rows(of, sources(train=list(rows)))


def faults(of: Task, *rows: dict[str, object]) -> list[str]:
    """What is wrong with the rows: row, column, found and expected, in one line each."""
    return [f"{each.row} {each.column}: {each.found}; {each.expected}" for each in mapped(of, *rows).faults["train"]]
