"""What `kedro ilf-task` shows: the task's tables as data_prep makes them, and the prompts of the main job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from kedro.framework.project import pipelines

from ilf_kedro.pipelines.data_prep.nodes import map_splits
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.pipelines.data_prep.pipeline import raw_sources
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import SPLITS, Comparisons, DataFrame, Examples, Fault, Split, UserError
from ilf_kedro.schemas.suggestions import suggest
from ilf_kedro.tasks import Offer, Task
from ilf_kedro.wiring.context import ProjectContext
from ilf_kedro.wiring.hooks.prompts import prompt_faults

__all__ = ["TaskData", "read_task_data"]

_PROMPT = "prompt."


@dataclass(frozen=True, slots=True)
class TaskData:
    """A task's tables by split, every fault of its files, and the prompts by name: the template, or what is wrong.

    `refused` tells whether a run would stop at the faults.
    """

    environment: str
    task: Task
    examples: Mapping[Split, DataFrame[Examples]]
    offer: Offer
    faults: Sequence[Fault]
    refused: bool
    prompts: Mapping[str, PromptTemplate | str]


def read_task_data(context: ProjectContext, chosen_prompts: Sequence[str] = ()) -> TaskData:
    """Read the raw data of a session's task and map them; load the main job's prompts, or those that are chosen.

    Raises:
        InvalidDataError: a source has no valid row.
        UserError: there is no such prompt.
    """
    parameters, catalog = context.parameters, context.catalog
    task = parameters.task
    sources = {name: catalog.load(dataset) for name, dataset in raw_sources(task).items()}
    options, tests = DataPrepOptions(on_invalid="quarantine"), parameters.selection.unit_tests
    tables = map_splits(task, options, parameters.seed, unit_tests=tests, **sources)
    examples = {split: Examples.validate(tables[f"examples_{split}"]) for split in SPLITS}
    comparisons = {split: Comparisons.validate(tables[f"comparisons_{split}"]) for split in SPLITS}
    faults = [_fault(row) for row in tables["rejected_rows"].to_dict("records")]
    return TaskData(
        environment=context.env or "local",
        task=task,
        examples=examples,
        offer=Offer.of(task, examples, comparisons),
        faults=faults,
        refused=bool(faults) and parameters.data_prep.on_invalid == "stop",
        prompts=_prompts(catalog.load, task, chosen_prompts),
    )


def _fault(row: Mapping[object, object]) -> Fault:
    column, raw = (None if pd.isna(cell) else str(cell) for cell in (row["column"], row["raw"]))  # type: ignore[call-overload]
    return Fault(str(row["file"]), int(str(row["row"])), column, str(row["found"]), str(row["expected"]), raw)


def _prompts(load: Callable[[str], Any], task: Task, chosen: Sequence[str]) -> dict[str, PromptTemplate | str]:
    """Load the prompts in the order in which the main job asks them; a faulty one is its message."""
    asked = [name for node in pipelines["__default__"].nodes for name in node.inputs if name.startswith(_PROMPT)]
    known = list(dict.fromkeys(name.removeprefix(_PROMPT) for name in asked))
    if unknown := [name for name in chosen if name not in known]:
        raise UserError("\n".join(f"the main job asks no prompt {name!r}; {suggest(name, known)}" for name in unknown))
    faults = {name: "\n".join(prompt_faults(f"{_PROMPT}{name}", load, task)) for name in chosen or known}
    return {name: fault or load(f"{_PROMPT}{name}") for name, fault in faults.items()}
