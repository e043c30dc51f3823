"""A part that the data do not offer is left out; what asks for it by name is refused with the column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ilf_kedro.wiring.parameter_check import find_faults
from ilf_kedro.wiring.parameters import Parameters
from tests.support.whole_project import WholeProject
from tests.wiring.test_parameter_check import RIGHT

PROMPTS = Path(__file__).parents[2] / "conf" / "base" / "prompts"
TASK: dict[str, Any] = {
    "name": "Python functions",
    "words": {"input": "problem", "output": "function"},
    "inputs": {"problem": {"column": "prompt", "truncate": True}, "hint": {"column": "note", "optional": True}},
    "columns": {"initial_output": "code", "feedback": "said", "reference": "better"},
}


def rows(split: str, n: int) -> str:
    written = [
        {
            "prompt": f"Write function {split} number {i}.",
            "note": None if i % 2 else "Short, please.",
            "code": f"def f{i}(): pass",
            "said": f"It should return {i}.",
            "better": f"def f{i}(): return {i}",
        }
        for i in range(n)
    ]
    return "".join(json.dumps(row) + "\n" for row in written)


def of_functions(text: str) -> str:
    """A prompt of the project with this task's inputs."""
    for old, new in (("title", "hint"), ("post", "problem")):
        text = text.replace(f"[{old}", f"[{new}").replace(f", {old}", f", {new}").replace(f"{{{old}}}", f"{{{new}}}")
    return text.replace("truncate: post", "truncate: problem")


def test_parameters_that_ask_for_what_the_data_lack_are_refused_with_the_column() -> None:
    asked = {
        "task": TASK | {"columns": {"feedback": "said"}},
        "selection": {"scorers": ["random", "longest", "instruct_rm", "reward_model"]},
    }
    whole = Parameters.model_validate(RIGHT).model_dump(mode="json") | asked
    (fault,) = find_faults(whole)
    assert "selection.scorers: reward_model needs task.columns.comparison, which is null" in fault.message
    assert "finetune.arms: references needs task.columns.reference" in fault.message
    assert "finetune.arms: initial_outputs needs task.columns.initial_output" in fault.message


@pytest.mark.slow
def test_data_without_comparisons_run_from_files_to_the_report(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    local, mine = tmp_path / "conf" / "local", tmp_path / "mine"
    mine.mkdir()
    for split, n in {"train": 4, "development": 2, "validation": 2, "test": 3}.items():
        (mine / f"{split}.jsonl").write_text(rows(split, n))
    (local / "parameters_task.yml").write_text(yaml.safe_dump({"task": TASK, "train_sizes": [4]}))
    entry = {"type": "ilf_kedro.datasets.RawRowsDataset", "filepath": "mine/{split}.jsonl"}
    (local / "catalog_raw.yml").write_text(yaml.safe_dump({"raw.{split}": entry}))
    (local / "globals.yml").write_text("prompts: prompts\n")
    (tmp_path / "prompts").mkdir()
    for file in PROMPTS.glob("*.yml"):
        (tmp_path / "prompts" / file.name).write_text(of_functions(file.read_text("utf-8")))
    project.kedro("run", "--env", "test")
    (report,) = (tmp_path / "data" / "test" / "08_reporting" / "report.html").glob("*/report.html")
    page = report.read_text("utf-8")
    assert "There is no reward model and no best-of-N" in page
    assert "Write function train number 0." in page
    assert not list((tmp_path / "data" / "test").rglob("*reward*"))
    listed = project.kedro("registry", "list").stdout
    assert "reward_model" not in listed
