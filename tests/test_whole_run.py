"""The whole loop with a tiny model, as a user runs it: outputs, kills and restarts, reuse, one pipeline alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from whole_project import WholeProject, assert_same_tables

KILL_AT = {
    "data_prep": "Running node: nest_subsets",
    "refinement": "Running node: sample_refinement_without_feedback",
    "selection": "Running node: score_instruct_rm",
    "reward_model": "Running node: predict_preferences",
    "finetune": "Completed node: finetune.human_summaries.n8.train",
    "reporting": "Running node: judge_models",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[WholeProject, str]:
    """A project in which everything ran once, and what the run printed."""
    project = WholeProject.create(tmp_path_factory.mktemp("undisturbed") / "project")
    return project, project.kedro("run", "--env", "test").stdout


def test_the_whole_loop_makes_every_table_a_report_and_a_record(undisturbed: tuple[WholeProject, str]) -> None:
    project, printed = undisturbed
    report = re.search(r"^Report: (.+)$", printed, re.MULTILINE)
    assert report is not None
    assert "<html" in (project.path / report[1]).read_text("utf-8")
    tables = project.tables()
    targets = tables["05_model_input/finetune/refinements_n8_targets.parquet"]
    assert len(targets) <= 8
    summaries = tables["07_model_output/finetune/refinements_n8_summaries.parquet"]
    assert len(summaries) == 12
    (record_path,) = project.latest("08_reporting/run_record.json/*/*.json").values()
    record = json.loads(record_path.read_text("utf-8"))
    assert record["outcome"] == "succeeded"


def test_a_killed_run_goes_on_and_ends_with_the_same_tables(
    undisturbed: tuple[WholeProject, str], tmp_path: Path
) -> None:
    _kill_and_compare(KILL_AT["finetune"], undisturbed[0], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", [name for name in KILL_AT if name != "finetune"])
def test_a_run_killed_in_any_pipeline_goes_on(
    pipeline: str, undisturbed: tuple[WholeProject, str], tmp_path: Path
) -> None:
    _kill_and_compare(KILL_AT[pipeline], undisturbed[0], tmp_path)


def _kill_and_compare(words: str, undisturbed: WholeProject, tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project")
    project.kill(words, "run", "--env", "test")
    project.kedro("run", "--env", "test")
    assert_same_tables(undisturbed.tables(), project.tables())


def test_after_a_kill_in_reporting_nothing_is_trained_again(undisturbed: tuple[WholeProject, str]) -> None:
    project, first = undisturbed
    assert len(re.findall(r"ran \d+ optimiser steps", first)) == 7  # the reward model, and 3 arms at 2 sizes
    killed = project.kill(KILL_AT["reporting"], "run", "--env", "test")
    again = project.kedro("run", "--env", "test").stdout
    for printed in (killed, again):
        assert "optimiser steps in" not in printed
        assert len(re.findall(r"using the finished training", printed)) == 7
    forced = project.kedro(
        "run", "--env", "test", "--pipelines", "reward_model", "--params", "reward_model.training.retrain=true"
    ).stdout
    assert re.search(r"reward_model: ran [1-9]\d* optimiser steps", forced)


def test_one_pipeline_runs_alone_from_what_was_persisted(undisturbed: tuple[WholeProject, str]) -> None:
    project, _ = undisturbed
    before = project.latest("05_model_input/selections.parquet/*/*.parquet")
    project.kedro("run", "--env", "test", "--pipeline", "selection")
    assert project.latest("05_model_input/selections.parquet/*/*.parquet") != before
    version = next(iter(project.latest("03_primary/examples/test.parquet/*/*.parquet").values())).parent.name
    project.kedro(
        "run",
        "--env",
        "test",
        "--namespaces",
        "finetune.human_summaries.n4",
        "--load-versions",
        f"examples.test:{version}",
    )


def test_a_pipeline_whose_inputs_were_never_made_says_which_makes_them(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project")
    done = project.kedro("run", "--env", "test", "--pipelines", "selection", check=False)
    assert done.returncode != 0
    assert "refinements.refinement_with_feedback" in done.stdout
    assert "--pipelines" in done.stdout.split("refinements.refinement_with_feedback")[1]
    assert "Traceback" not in done.stdout


def test_the_notebook_runs_on_what_was_persisted(
    undisturbed: tuple[WholeProject, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = undisturbed
    monkeypatch.setenv("KEDRO_ENV", "test")
    monkeypatch.setenv("ILF_KEDRO_LOCAL_ENV", "local")
    notebook = nbformat.read(project.path / "notebooks" / "walk_through.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(project.path / "notebooks")}}).execute()
    shown = str([cell.get("outputs") for cell in notebook.cells])
    selected = project.tables()["05_model_input/selections.parquet"]["example_id"].iloc[0]
    post = project.tables()["03_primary/examples/train.parquet"].set_index("example_id").loc[selected, "post"]
    assert post.split(".")[0] in shown.replace("\\n", "\n")
    assert "instruct_rm_ensemble" in shown
