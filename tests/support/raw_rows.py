"""Raw files for the tests of data_prep, written row by row, and the task that they are of."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import yaml

from ilf_kedro.pipelines.data_prep.nodes import map_splits
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.schemas import RawRows
from ilf_kedro.tasks import Task
from ilf_kedro.tasks.reading import ReadOptions, read_bytes

SPLITS = ("train", "development", "validation", "test")
_FILE = Path(__file__).parents[2] / "conf" / "base" / "parameters_task.yml"
TASK = Task.model_validate(yaml.safe_load(_FILE.read_text("utf-8"))["task"])


def row(identifier: str, **changes: object) -> dict[str, object]:
    """A valid row with every column of SLF5K; `changes` replace columns, `...` drops one."""
    values: dict[str, object] = {
        "id": identifier,
        "subreddit": "AskReddit",
        "title": f"Title of {identifier}",
        "post": f"The post of {identifier}.",
        "tldr_human_reference_summary": "A reference.",
        "summary_prompt": "Summarise.",
        "generated_summary_for_comparison_A": "Output one.",
        "generated_summary_for_comparison_B": "Output two.",
        "comparison_preference": "Summary A",
        "generated_summary_for_feedback": "An initial output.",
        "feedback": "It misses the point.",
        "feedback_class": "Coverage",
        "has_additional_feedback": False,
        "ideal_human_summary": "An ideal output.",
        "time_spent_in_seconds_feedback": 61.5,
        "time_spent_in_seconds_ideal_human_summary": 120,
        "time_spent_in_seconds_comparison": 30,
    }
    values |= changes
    return {column: value for column, value in values.items() if value is not ...}


def raw(split: str, *rows: dict[str, object] | str) -> RawRows:
    """A raw file named after its split; texts among the rows are lines as they are."""
    lines = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in rows]
    return read_bytes(f"{split}.jsonl", "\n".join(lines).encode("utf-8", "surrogateescape"), ReadOptions())


def raw_splits(**files: RawRows) -> tuple[RawRows, RawRows, RawRows, RawRows]:
    """The four splits with two valid rows each, but for the files given."""
    train, development, validation, test = (
        files.get(split, raw(split, row(f"{split}-1"), row(f"{split}-2"))) for split in SPLITS
    )
    return train, development, validation, test


def mapped(*files: RawRows, options: DataPrepOptions) -> list[pd.DataFrame]:
    """The examples of the four splits, their comparisons, and the rejected rows."""
    tables = map_splits(TASK, options, 0, **dict(zip(SPLITS, files, strict=True)))
    names = [f"{kind}_{split}" for kind in ("examples", "comparisons") for split in SPLITS]
    return [tables[name] for name in [*names, "rejected_rows"]]
