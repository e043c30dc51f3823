"""What a campaign asks about, from the catalog's tables, a folder of outputs, or a file of items."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from kedro.io import DataCatalog

from ilf_kedro.people.items import Item, Origin, Text, ask_feedback, ask_incorporated, ask_order
from ilf_kedro.people.output_folder import read_output_folder
from ilf_kedro.prompting.messages import messages_from_json
from ilf_kedro.schemas import UserError, text_or_empty
from ilf_kedro.schemas.suggestions import suggest
from ilf_kedro.tasks.options import RESERVED, Task

__all__ = ["Question", "ask_about_folder", "ask_about_tables"]

# "name=table[column=value,…]"; the name and the brackets may be left out
_OUTPUT = re.compile(r"(?:(?P<name>[^=\[]+)=)?(?P<table>[^\[=]+)(?:\[(?P<where>[^\]]*)\])?")
# How many outputs an item has of each kind of question, from fewest to most; incorporated has one item for each.
_NEEDED = {"feedback": (1, 1), "compare": (2, 2), "rank": (2, 6), "incorporated": (1, 99)}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of which columns: `inputs` are shown (all that are inputs where empty).

    The first `limit` examples are asked about, or, with a `seed`, as many drawn at random.
    """

    kind: str
    inputs: tuple[str, ...] = ()
    initial_output: str = "initial_output"
    code: str | None = None
    limit: int | None = None
    seed: int | None = None


def ask_about_tables(
    catalog: DataCatalog, question: Question, task: Task, examples_name: str, outputs: Sequence[str]
) -> list[Item]:
    """Return the items of a question about tables of the catalog, which have the task's inputs.

    Each of `outputs` is a column of the examples (reference), or a table with example_id and text, as
    `name=table[column=value]`; of several texts for one example the first is taken.

    Raises:
        UserError: a table or a column is missing, or the question needs other outputs.
    """
    examples = _load(catalog, examples_name)
    origin = _origin(catalog, examples_name, examples)
    shown = tuple(name for name, field in task.inputs.items() if field.shown and name in examples)
    question = replace(question, inputs=question.inputs or shown)
    for name in shown:
        if task.inputs[name].kind == "messages":
            turns = [messages_from_json(text_or_empty(cell)) for cell in examples[name]]
            examples[name] = pd.Series(turns, index=examples.index, dtype=object)
    texts: dict[str, Mapping[str, Text]] = {}
    for output in outputs:
        name, by_example = _outputs(catalog, examples, examples_name, output)
        if name in texts:
            raise UserError(f"two outputs are called {name!r}; name them apart, such as --output first={output}")
        texts[name] = by_example
    return _ask(question, examples, texts, origin)


def ask_about_folder(question: Question, folder: Path) -> list[Item]:
    """Return the items of a question about a folder of outputs.

    Raises:
        UserError: it names every line at fault, or the question needs other outputs.
    """
    examples, outputs = read_output_folder(folder, question.code)
    return _ask(question, examples, outputs, Origin(dataset=folder.name, content_hash=_hash_of(examples)))


def _ask(
    question: Question, examples: pd.DataFrame, outputs: Mapping[str, Mapping[str, Text]], origin: Origin
) -> list[Item]:
    if question.limit is not None and question.seed is not None:
        examples = examples.sample(min(question.limit, len(examples)), random_state=question.seed)
    elif question.limit is not None:
        examples = examples.head(question.limit)
    inputs = question.inputs or _inputs_of(examples)
    _require(examples, inputs)
    initial = question.initial_output
    least, most = _NEEDED[question.kind]
    if question.kind == "feedback" and not outputs:
        _require(examples, [initial])
        outputs = {initial: _column(examples, initial)}
    if not least <= len(outputs) <= most:
        found = f"{len(outputs)}: {', '.join(outputs)}" if outputs else "none"
        raise UserError(f"{question.kind} needs {least} to {most} outputs, found {found}")
    if question.kind == "feedback":
        ((name, texts),) = outputs.items()
        return ask_feedback(examples, inputs, texts, source=name, origin=origin, code=question.code)
    if question.kind == "incorporated":
        _require(examples, [initial, "feedback"])
        refinements = [(key, method, text) for method, of in outputs.items() for key, text in of.items()]
        return ask_incorporated(examples, inputs, initial, refinements, origin=origin, code=question.code)
    shown = initial if initial in examples else None
    return ask_order(
        examples,
        inputs,
        outputs,
        kind="rank" if question.kind == "rank" else "compare",
        initial_output=shown,
        origin=origin,
        code=question.code,
    )


def _outputs(
    catalog: DataCatalog, examples: pd.DataFrame, examples_name: str, output: str
) -> tuple[str, Mapping[str, Text]]:
    if output in examples:
        return output, _column(examples, output)
    if (match := _OUTPUT.fullmatch(output)) is None:
        raise UserError(f"--output {output!r}: expected a column of {examples_name}, or name=table[column=value]")
    table = _load(catalog, match["table"])
    _require(table, ["example_id", "text"])
    for condition in filter(None, (match["where"] or "").split(",")):
        column, _, value = condition.partition("=")
        _require(table, [column])
        table = table[table[column].astype(str) == value]
    if table.empty:
        raise UserError(f"--output {output!r}: no row of {match['table']} is left")
    first = table.drop_duplicates("example_id")
    return match["name"] or output, dict(zip(first["example_id"], first["text"], strict=True))


def _column(examples: pd.DataFrame, column: str) -> dict[str, Text]:
    rows = zip(examples["example_id"], examples[column], strict=True)
    return {example_id: text for example_id, text in rows if isinstance(text, str)}


def _load(catalog: DataCatalog, name: str) -> pd.DataFrame:
    if name not in catalog:
        raise UserError(f"the catalog has no {name!r}; {suggest(name, catalog.keys(), at_most=20)}".rstrip("; "))
    if not catalog.exists(name):
        raise UserError(f"{name!r} has no data yet: check the name, or make the table first by `kedro run`")
    table = catalog.load(name)
    if not isinstance(table, pd.DataFrame) or "example_id" not in table:
        raise UserError(f"{name} is no table with a column example_id; items are made of such tables")
    return table


def _origin(catalog: DataCatalog, name: str, table: pd.DataFrame) -> Origin:
    dataset = catalog.get(name)
    resolve = getattr(dataset, "resolve_load_version", None)
    return Origin(dataset=name, version=resolve() if resolve else None, content_hash=_hash_of(table))


def _hash_of(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_json(orient="records").encode()).hexdigest()


def _inputs_of(examples: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of a folder's examples that are inputs: all but the project's own words."""
    return tuple(str(column) for column in examples if column not in RESERVED)


def _require(table: pd.DataFrame, columns: Iterable[str]) -> None:
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"no column {', '.join(missing)}; found {', '.join(map(str, table.columns))}")
