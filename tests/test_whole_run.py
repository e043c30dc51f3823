"""The whole loop with a tiny model, as a user runs it: outputs, kills and restarts, reuse, one pipeline alone."""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from tests.support.whole_project import WholeProject, assert_same_tables

KILL_AT = {
    "data_prep": "Running node: nest_subsets",
    "refinement": "Running node: sample_refinement_without_feedback",
    "selection": "Running node: score_instruct_rm",
    "reward_model": "Running node: predict_preferences",
    "finetune": "Completed node: finetune.references.n8.train",
}
STEPS = re.compile(r"ran (\d+) optimiser steps in")
N_TRAININGS = 7  # the reward model, and 3 arms at 2 sizes


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
    for arm in ("refinements", "references", "initial_outputs"):
        for size in (4, 8):
            assert 1 <= len(tables[f"05_model_input/finetune/{arm}_n{size}_targets.parquet"]) <= size
            assert len(tables[f"07_model_output/finetune/{arm}.n{size}_outputs.parquet"]) == 12
    record = project.record()
    assert record.outcome == "succeeded"
    assert len(record.nodes) == record.nodes_planned
    assert len(STEPS.findall(printed)) == N_TRAININGS


def test_the_report_says_which_version_of_which_table_by_which_node_it_shows(
    undisturbed: tuple[WholeProject, str],
) -> None:
    project, printed = undisturbed
    report = (project.path / re.findall(r"^Report: (.+)$", printed, re.MULTILINE)[0]).read_text("utf-8")
    found = re.findall(r"<li><code>([\w.]+)</code>, version ([\w.-]+), made by the node <code>([\w.]+)</code>", report)
    by_name = {name: (version, node) for name, version, node in found}
    version, node = by_name["model_metrics"]
    assert node == "reporting.measure_models"
    assert (project.path / f"data/test/08_reporting/model_metrics.parquet/{version}/model_metrics.parquet").is_file()
    assert by_name["examples.train"][1] == "data_prep.map_splits"
    assert by_name["outputs"][1] == "finetune.collect_outputs"
    assert len(by_name) >= 15
    assert report.count('<details class="origin" translate="no">') == report.count("<figcaption>") + 8


@pytest.mark.parametrize("pipeline", KILL_AT)
def test_a_pipeline_runs_alone_without_a_warning(
    pipeline: str,
    undisturbed: tuple[WholeProject, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = undisturbed[0].kedro_run_here(monkeypatch, "--env", "test", "--pipelines", pipeline)
    assert result.exit_code == 0, result.output
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.slow
def test_a_run_killed_in_reporting_trains_nothing_again_and_ends_with_equal_tables(
    undisturbed: tuple[WholeProject, str], tmp_path: Path
) -> None:
    project = WholeProject.create(tmp_path / "project")
    killed = project.kill("Running node: judge_models", "run", "--env", "test")
    assert len(STEPS.findall(killed)) == N_TRAININGS
    again = project.kedro("run", "--env", "test").stdout
    assert STEPS.findall(again) == []
    assert again.count("using the finished training") == N_TRAININGS
    assert_same_tables(undisturbed[0].tables(), project.tables())
    forced = project.kedro(
        "run", "--env", "test", "--pipelines", "reward_model", "--params", "reward_model.training.retrain=true"
    ).stdout
    assert [int(steps) > 0 for steps in STEPS.findall(forced)] == [True]
    assert_same_tables(undisturbed[0].tables(), project.tables())


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", KILL_AT)
def test_a_run_killed_in_any_pipeline_goes_on(
    pipeline: str, undisturbed: tuple[WholeProject, str], tmp_path: Path
) -> None:
    project = WholeProject.create(tmp_path / "project")
    project.kill(KILL_AT[pipeline], "run", "--env", "test")
    project.kedro("run", "--env", "test")
    assert_same_tables(undisturbed[0].tables(), project.tables())


@pytest.mark.slow
def test_a_run_killed_amid_sampling_keeps_its_answers_and_ends_with_the_same_tables(tmp_path: Path) -> None:
    command = ("run", "--env", "test", "--pipelines", "data_prep,refinement")
    whole, killed = (WholeProject.create(tmp_path / name) for name in ("whole", "killed"))
    for project in (whole, killed):
        catalog = yaml.safe_load((project.path / "conf" / "test" / "catalog_language_models.yml").read_text("utf-8"))
        project.write_local(
            "catalog_language_models.yml", {"refiner": {**catalog["refiner"], "options": {"max_batch_samples": 4}}}
        )  # one post a batch
        sampling = {"n_refinements": 4, "sampling": {"max_new_tokens": 48}}
        project.write_local("parameters.yml", {"train_sizes": [4, 32], "refinement": sampling})
    whole.kedro(*command)
    first = "04_feature/refinements/refinement_with_feedback.parquet"
    cache = killed.path / "data" / "test" / "completions.sqlite"
    killed.kill_once(lambda: _answers_in(cache) >= 4, *command)
    n_kept = _answers_in(cache)
    assert 4 <= n_kept < 32 * 4
    assert not list(killed.latest(f"{first}/*/*"))
    killed.kedro(*command)
    (work,) = [model.local_work for model in killed.record().language_models if model.dataset == "refiner"]
    assert work is not None
    assert work.answers_from_cache >= n_kept
    assert work.answers_computed > 0
    assert len(whole.tables()[first]) == 32 * 4
    assert_same_tables(whole.tables(), killed.tables())


@pytest.mark.slow
def test_a_run_killed_amid_a_training_resumes_it_and_ends_with_the_same_tables(tmp_path: Path) -> None:
    command = ("run", "--env", "test", "--pipelines", "data_prep,reward_model")
    options = ("--params", "reward_model.training.save_steps=1,reward_model.training.epochs=8")
    whole, killed = (WholeProject.create(tmp_path / name) for name in ("whole", "killed"))
    (n_steps,) = map(int, STEPS.findall(whole.kedro(*command, *options).stdout))
    trainings = killed.path / "data" / "test" / "trainings"
    printed = killed.kill_once(
        lambda: any(trainings.glob("*.partial/checkpoint-*/trainer_state.json")), *command, *options
    )
    assert STEPS.findall(printed) == []
    again = killed.kedro(*command, *options).stdout
    (executed,) = map(int, STEPS.findall(again))
    assert "resuming the unfinished training from checkpoint-" in again
    assert 0 < executed < n_steps
    tables = whole.tables()
    assert len(tables["06_models/reward_model_training_log.parquet"]) == n_steps
    assert_same_tables(tables, killed.tables())


def _answers_in(cache: Path) -> int:
    """Count the answers that a completion cache holds, while another process writes to it."""
    if not cache.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True, timeout=1)) as connection:
            return int(connection.execute("SELECT count(*) FROM completions").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are not there yet
        return 0


def test_one_pipeline_runs_alone_from_what_was_persisted(
    undisturbed: tuple[WholeProject, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = undisturbed[0].copy(tmp_path / "project")
    before = project.latest("**/*.parquet")
    result = project.kedro_run_here(monkeypatch, "--env", "test", "--pipeline", "selection")
    assert result.exit_code == 0, result.output
    made = {name for name, path in project.latest("**/*.parquet").items() if path != before[name]}
    assert made == {
        "04_feature/refinements/all.parquet",
        "04_feature/scores.parquet",
        *(f"04_feature/scores/{scorer}.parquet" for scorer in ("instruct_rm", "longest", "random")),
        "04_feature/instruct_rm_disagreement.parquet",
        "05_model_input/selections.parquet",
        "05_model_input/selections_top_k.parquet",
        "08_reporting/undefined_scores.parquet",
    }
    assert_same_tables(undisturbed[0].tables(), project.tables())


@pytest.mark.slow
def test_an_older_version_is_loaded_where_it_is_asked_for(
    undisturbed: tuple[WholeProject, str], tmp_path: Path
) -> None:
    project = undisturbed[0].copy(tmp_path / "project")
    name = "03_primary/examples/test.parquet"
    older = project.latest(f"{name}/*/*.parquet")[name].parent.name
    project.drop_last_row("test")
    project.kedro("run", "--env", "test", "--pipelines", "data_prep")
    assert project.latest(f"{name}/*/*.parquet")[name].parent.name > older
    assert len(project.tables()[name]) == 11
    project.kedro(
        *("run", "--env", "test", "--namespaces", "finetune.references.n4"),
        *("--load-versions", f"examples.test:{older}"),
    )
    loaded = {each.name: each.version for each in project.record().loaded}
    assert loaded["examples.test"] == older
    outputs = "07_model_output/finetune/references.n4_outputs.parquet"
    assert project.latest(f"{outputs}/*/*")[outputs] != undisturbed[0].latest(f"{outputs}/*/*")[outputs]
    assert list(project.tables()[outputs]["example_id"]) == list(
        undisturbed[0].tables()[outputs]["example_id"]
    )  # all 12


def test_a_pipeline_whose_inputs_were_never_made_says_which_makes_them(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project")
    done = project.kedro("run", "--env", "test", "--pipelines", "selection", check=False)
    assert done.returncode != 0
    assert "refinements.refinement_with_feedback" in done.stdout
    assert "--pipelines" in done.stdout.split("refinements.refinement_with_feedback")[1]
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_the_notebook_runs_on_what_was_persisted(
    undisturbed: tuple[WholeProject, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = undisturbed
    monkeypatch.setenv("KEDRO_ENV", "test")
    monkeypatch.setenv("ILF_KEDRO_LOCAL_ENV", "local")
    notebook = nbformat.read(project.path / "notebooks" / "walk_through.ipynb", as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(project.path / "notebooks")}}).execute()
    shown = str([cell.get("outputs") for cell in notebook.cells])
    selected = project.tables()["05_model_input/selections.parquet"]["example_id"].iloc[0]
    post = project.tables()["03_primary/examples/train.parquet"].set_index("example_id").loc[selected, "post"]
    assert post.split(".")[0] in shown.replace("\\n", "\n")
    assert "instruct_rm_ensemble" in shown
