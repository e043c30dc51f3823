"""A folder of outputs: a file per method, and one of the examples that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from ilf_kedro.people.database import CampaignError
from ilf_kedro.people.items import Passage

__all__ = ["EXAMPLES_FILE", "read_output_folder"]

EXAMPLES_FILE = "examples.jsonl"


class _Example(BaseModel):
    model_config = ConfigDict(extra="allow")

    example_id: str


class _Output(_Example):
    model_config = ConfigDict(extra="ignore")

    output: str
    results: str | None = None


RowT = TypeVar("RowT", bound=_Example)


def read_output_folder(folder: Path, code: str | None = None) -> tuple[pd.DataFrame, dict[str, dict[str, Passage]]]:
    """Return the examples (example_id and whatever columns they have), and the outputs by method and example.

    `examples.jsonl` has a line per example: example_id, its inputs, and what else is to be shown. Any other file
    `<method>.jsonl` has a line per output: example_id, output, and where there are any, what its tests printed as
    results. `code` names the language of outputs that are code.

    Raises:
        CampaignError: it names every line at fault, and files that are missing.
    """
    files = sorted(folder.glob("*.jsonl"))
    if folder / EXAMPLES_FILE not in files or len(files) < 2:
        found = ", ".join(file.name for file in files) or "no .jsonl file"
        raise CampaignError(f"{folder} has {found}; expected {EXAMPLES_FILE} and a <method>.jsonl for every method")
    faults: list[str] = []
    examples = pd.DataFrame([row.model_dump() for row in _read(folder / EXAMPLES_FILE, _Example, faults)])
    outputs = {
        file.stem: {row.example_id: _passage(row, code) for row in _read(file, _Output, faults)}
        for file in files
        if file.name != EXAMPLES_FILE
    }
    for method, texts in outputs.items():
        if not faults and (unknown := sorted(set(texts) - set(examples["example_id"]))):
            faults.append(
                f"{method}.jsonl: {len(unknown)} example_id(s) not in {EXAMPLES_FILE}, such as {unknown[0]!r}"
            )
    if faults:
        raise CampaignError(f"{len(faults)} fault(s) in {folder}:\n  " + "\n  ".join(faults[:50]))
    return examples, outputs


def _passage(row: _Output, code: str | None) -> Passage:
    return Passage(text=row.output, kind="code" if code else "text", language=code, results=row.results)


def _read(file: Path, model: type[RowT], faults: list[str]) -> list[RowT]:
    rows = []
    seen: set[str] = set()
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = model.model_validate_json(line)
        except ValidationError as error:
            faults += [
                f"{file.name}:{number} {'.'.join(map(str, detail['loc']))}: {detail['msg']}"
                for detail in error.errors(include_url=False)
            ]
            continue
        example_id = row.example_id
        if example_id in seen:
            faults.append(f"{file.name}:{number} example_id: {example_id!r} stands there twice")
        seen.add(example_id)
        rows.append(row)
    return rows
