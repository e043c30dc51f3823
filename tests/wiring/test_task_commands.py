"""What `kedro ilf-task` shows of the data, and how its faults end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI

from tests.support.kedro_setup import set_up

SAMPLE = Path("data") / "01_raw" / "code_sample"


@pytest.fixture
def task(project_root: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command as a user does, in a terminal of so many columns."""

    def run(*arguments: str, columns: int = 100) -> Result:
        monkeypatch.chdir(project_root)
        monkeypatch.setenv("COLUMNS", str(columns))
        set_up(monkeypatch, users_layer="none")
        return CliRunner().invoke(KedroCLI(project_root), ["ilf-task", *arguments], prog_name="kedro")

    return run


def rows(project_root: Path, split: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (project_root / SAMPLE / f"{split}.jsonl").read_text("utf-8").splitlines()]


def test_check_counts_what_the_files_have_and_says_what_is_left_out(task, project_root: Path) -> None:
    shown = task("check", "--env", "code", "--rows", "1")
    assert shown.exit_code == 0, shown.output
    counts = {line.split("  ")[0]: line.split()[-5:-1] for line in shown.output.splitlines() if "_program" in line}
    assert counts["references"] == [
        str(len(rows(project_root, split))) for split in ("train", "development", "validation", "test")
    ]
    assert "There is no reward model: the data have no comparisons" in " ".join(shown.output.split())
    assert rows(project_root, "train")[0]["feedback"][:40] in shown.output


def test_every_count_can_be_read_on_a_narrow_terminal(task) -> None:
    shown = task("check", "--env", "code", "--rows", "1", columns=40).output.splitlines()
    assert [line.split()[1:] for line in shown if line.startswith("references")] == [["24", "6", "6", "12"]]
    assert max(map(len, shown)) <= 40


@pytest.mark.parametrize("columns", [60, 200])
def test_show_gives_a_row_in_full_and_fills_its_prompts_at_any_width(task, project_root: Path, columns: int) -> None:
    row = rows(project_root, "train")[4]
    shown = task("show", "5", "--env", "code", columns=columns)
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.output.split())
    for column in ("problem", "initial_program", "feedback", "corrected_program", "tests"):
        assert " ".join(row[column].split()) in words
    assert f"Problem: {' '.join(row['problem'].split())}" in words  # the refinement's prompt
    assert "Program A: ‹output_a›" in words
    assert max(map(len, shown.output.splitlines())) <= columns


def test_a_column_that_no_row_has_ends_in_one_message(task) -> None:
    failed = task("check", "--params", "task.columns.feedback=feedbak")
    assert failed.exit_code == 1
    assert "feedbak: found no such column in any row; expected 'feedback', perhaps" in failed.output
    assert "Traceback" not in failed.output


def test_a_row_or_prompt_that_does_not_exist_is_named_with_those_that_do(task) -> None:
    row, prompt = task("show", "25", "-e", "code").output, task("check", "--prompts", "polcy").output
    assert "the train split has 24 rows, so no row 25; expected N from 1 to 24" in row
    assert "no prompt 'polcy'; did you mean 'policy'?" in prompt


def test_another_configuration_is_read_and_its_faulty_prompt_named(task, project_root: Path, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(project_root / "conf", conf, ignore=shutil.ignore_patterns("local"))
    prompt = conf / "code" / "prompts" / "judge.yml"
    prompt.write_text(prompt.read_text("utf-8").replace("problem", "post"))
    shown = task("check", "--env", "code", "--conf-source", str(conf), "--rows", "1")
    assert shown.exit_code == 1
    assert "prompt.judge shows {{ post }}, which the task's examples do not have" in " ".join(shown.output.split())
    assert "kedro run would stop at the prompts judge: see above" in shown.output
    assert task("check", "--env", "code", "--rows", "1").exit_code == 0


def test_texts_of_the_data_cannot_steer_the_terminal(task, tmp_path: Path) -> None:
    row = {"asked": "\x1b[2J\u202e[red]not red[/red]\ttab", "n": 1}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({"asked": "More.", "n": "\x07"}) + "\n")
    conf = tmp_path / "conf"
    (conf / "base").mkdir(parents=True)
    for name in ("base", "test"):
        shutil.copytree(Path("conf") / name, conf / name, dirs_exist_ok=True)
    entry = {"type": "ilf_kedro.datasets.RawRowsDataset", "filepath": str(tmp_path / "train.jsonl")}
    own = {"name": "N", "inputs": {"title": "asked", "post": "asked"}, "splits": ["train"]}
    (conf / "test" / "parameters_task.yml").write_text(json.dumps({"task": own}))
    (conf / "test" / "catalog_raw.yml").write_text(json.dumps({"raw.{split}": entry}))
    shown = task("show", "1", "--env", "test", "--conf-source", str(conf))
    assert shown.exit_code == 0, shown.output
    assert r"\x1b[2J\u202e[red]not red[/red]" in shown.output
    assert not {"\x1b", "\u202e"} & set(shown.output)


def test_no_model_is_loaded(project_root: Path) -> None:
    script = (
        "import sys; from kedro.framework.cli.cli import main\n"
        "sys.argv = ['kedro', 'ilf-task', 'check', '--env', 'code']\n"
        "try: main()\nfinally: assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=project_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
