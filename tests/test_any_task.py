"""A folder of YAML is all that a new task needs: code, chats and people's real feedback, from raw files to the report.

Translations are walked through by test_own_task.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from ilf_kedro.prompting.messages import messages_from_json
from tests.support.own_task_page import formats
from tests.support.whole_project import ROOT, WholeProject

FEEDBACK = ROOT.parent / "shared" / "reference" / "code_feedback_60.jsonl"


def report_of(project: WholeProject, **files: dict[str, Any]) -> str:
    """Write the YAML files of the user's layer, run the main job on the tiny model, and return the report's text."""
    for name, content in files.items():
        project.write_local(f"{name}.yml", content)
    project.kedro("run", "--env", "test")
    (report,) = (project.path / "data" / "test" / "08_reporting" / "report.html").glob("*/report.html")
    return report.read_text("utf-8")


def raw(filepath: str) -> dict[str, Any]:
    return {"type": "ilf_kedro.datasets.RawRowsDataset", "filepath": filepath}


CHAT: dict[str, Any] = {
    "name": "Answers in chats",
    "words": {"input": "conversation", "output": "answer"},
    "inputs": {"request": {"column": "turns", "kind": "messages", "truncate": True}},
    "explode": "notes",
    "columns": {"initial_output": "reply", "feedback": "item.text", "annotator": "item.by"},
    "comparisons": {"inputs": {"request": "turns"}, "a": "better", "b": "worse"},
    "splits": ["train", "validation", "test"],
    "near_duplicates": {"refuse": None},
    "output": {"clean": "verbatim"},
}


def chat(split: str, n: int) -> dict[str, Any]:
    said = [f"Hello, it is {split} {n}.", "Hello!", f"How many legs have {n} spiders?"]
    return {
        "turns": [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said)],
        "reply": "Many.",
        "notes": [{"text": f"Say that it is {8 * n}.", "by": 3}, {"text": "Say why.", "by": 7}],
    }


# Prompts of several messages, for chat models.
MESSAGES: dict[str, dict[str, Any]] = {
    "policy": {"messages": [{"role": "system", "content": "Be brief."}, {"turns": "request"}]},
    "refinement_with_feedback": {
        "messages": [
            {"turns": "request"},
            {"role": "assistant", "content": "{{ initial_output }}"},
            {"role": "user", "content": "Do better. {{ feedback }}"},
        ]
    },
}


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.slow
def test_chats_of_several_turns_with_preferences_apart_run_from_files_to_the_report(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    for split, n in {"train": 3, "validation": 2, "test": 2}.items():
        rows = [chat(split, place) for place in range(n)]
        pairs = [{"turns": row["turns"], "better": "Eight each.", "worse": "Six."} for row in rows]
        (tmp_path / "chats").mkdir(exist_ok=True)
        (tmp_path / "chats" / f"{split}.jsonl").write_text(lines(rows))
        (tmp_path / "chats" / f"{split}_pairs.jsonl").write_text(lines(pairs))
    shutil.copytree(ROOT / "conf" / "base" / "prompts" / "answers", tmp_path / "prompts")
    for name, prompt in MESSAGES.items():
        content = yaml.safe_dump({**prompt, "truncate": "request", "clean": "verbatim"})
        (tmp_path / "prompts" / f"{name}.yml").write_text(content)
    page = report_of(
        project,
        parameters={"task": CHAT, "train_sizes": [6], "reward_model": {"train_size": 3}},
        catalog_raw={
            "raw.{split}": raw("chats/{split}.jsonl"),
            "raw.comparisons.{split}": raw("chats/{split}_pairs.jsonl"),
        },
        globals={"prompts": "prompts"},
    )
    tables = project.tables()
    examples = tables["03_primary/examples/train.parquet"]
    assert [message.role for message in messages_from_json(examples["request"][0])] == ["user", "assistant", "user"]
    assert sorted(examples["annotator"]) == ["3", "3", "3", "7", "7", "7"]
    assert len(tables["03_primary/comparisons/train.parquet"]) == 3
    assert "How many legs have 0 spiders?" in page
    assert "the reward model" in page.lower()
    assert "no judge&#39;s win rates" in page


PROGRAM = "def times_{n}(value):\n    return value {sign} {n}"


def code(n: int) -> dict[str, Any]:
    return {
        "asked": f"Write a function times_{n}(value) that returns {n} times the value.",
        "checks": [f"assert times_{n}(2) == {2 * n}", f"assert times_{n}(0) == 0"],
        "written": PROGRAM.format(n=n, sign="+"),
        "said": "It adds, but it should multiply.",
        "right": PROGRAM.format(n=n, sign="*"),
    }


@pytest.mark.slow
def test_code_in_parquet_with_unit_tests_runs_from_a_file_to_the_report(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    pd.DataFrame([code(n) for n in range(2, 14)]).to_parquet(tmp_path / "problems.parquet")
    task = {
        "name": "Multiplications",
        "words": {"input": "problem", "output": "function"},
        "inputs": {
            "problem": {"column": "asked", "truncate": True},
            "tests": {"column": "join('\\n', checks)", "shown": False},
        },
        "columns": {"initial_output": "written", "feedback": "said", "reference": "right"},
        "splits": {"train": 0.5, "development": 0.25, "test": 0.25},
        "near_duplicates": {"refuse": None},
        "output": {"clean": "code", "metrics": ["verifier", "length"]},
    }
    selection = yaml.safe_load(formats()["Code with unit tests"])["selection"]
    page = report_of(
        project,
        parameters={"task": task, "train_sizes": [6], "selection": selection},
        catalog_raw={"raw.all": raw("problems.parquet")},
        globals={"prompts": "${conf:code/prompts}"},
    )
    scores = project.tables()["04_feature/scores/verifier.parquet"]
    assert set(scores["score"].dropna()) <= {0.0, 0.5, 1.0}
    assert scores["score"].notna().any()
    assert "Write a function times_" in page


@pytest.mark.slow
@pytest.mark.skipif(not FEEDBACK.is_file(), reason=f"people's feedback on code is not there ({FEEDBACK.name})")
def test_peoples_feedback_on_code_runs_by_the_mapping_on_the_page(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path)
    shutil.copy(FEEDBACK, tmp_path / "feedback.jsonl")
    parameters = yaml.safe_load(formats()["Code with unit tests"])
    page = report_of(
        project,
        parameters={**parameters, "train_sizes": [12]},
        catalog_raw={"raw.all": raw("feedback.jsonl")},
        globals={"prompts": "${conf:code/prompts}"},
    )
    tables = project.tables()
    splits = {split: tables[f"03_primary/examples/{split}.parquet"] for split in ("train", "development", "test")}
    assert {split: len(table) for split, table in splits.items()} == {"train": 36, "development": 12, "test": 12}
    rows = {str(row["task_id"]): row for row in map(json.loads, FEEDBACK.read_text("utf-8").splitlines())}
    kept = splits["train"].set_index("example_id")
    given = {name: row["Feedback"].replace("\r\n", "\n") for name, row in rows.items()}  # lines end alike
    assert all(given[name] == text for name, text in kept["feedback"].items())
    assert "There is no reward model: the data have no comparisons" in page
