"""Every registered pipeline runs alone, by the command line, on what one run of the main job has left."""

from __future__ import annotations

import logging

import pytest

from tests.support.whole_project import WholeProject

MAIN = ("data_prep", "refinement", "selection", "reward_model", "finetune", "reporting")
ANALYSES = ("tournament", "controls", "reward_model_comparison", "sweep", "rounds", "analysis", "word_removal_probe")
ALONE = (*MAIN, *ANALYSES, "export", "word_removal")
SUMS = ("__default__", "full")
SLOW = ("word_removal",)  # 49 nodes and 5 trainings
# Fewer trainings and samples than in conf/test: what is tested is that nodes get what their signatures name.
SMALLER = {
    "train_sizes": [4],
    "finetune": {"arms": ["refinements"]},
    "reward_model": {"comparison": {"train_sizes": [4]}},
    "sweep": {"arms": ["refinements"], "epochs": [1], "prompt_loss_weight": [0.0], "learning_rate_multiplier": [0.1]},
    "rounds": {"sizes": [4, 4]},
    "analysis": {"samples_per_input": 1, "max_new_tokens": 2, "unconditional_samples": 2, "unconditional_tokens": 2},
    "controls": {"n_examples": 2},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> WholeProject:
    """A project in which the main job ran once."""
    project = WholeProject.create(tmp_path_factory.mktemp("every_pipeline") / "project")
    project.write_local("parameters.yml", {"train_sizes": [4], "finetune": {"arms": ["refinements", "references"]}})
    project.kedro("run", "--env", "test")
    return project


@pytest.fixture(scope="module")
def plain_project(tmp_path_factory: pytest.TempPathFactory) -> WholeProject:
    """A project in which everything ran once, as conf/test has it."""
    project = WholeProject.create(tmp_path_factory.mktemp("plain") / "project")
    project.kedro("run", "--env", "test", "--pipelines", "full")
    return project


def test_the_list_of_pipelines_is_whole(project: WholeProject) -> None:
    listed = project.kedro("registry", "list").stdout.split()
    assert sorted(name for name in listed if name != "-") == sorted((*ALONE, *SUMS))


@pytest.mark.parametrize("pipeline", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in ALONE])
def test_a_pipeline_runs_alone_without_a_warning(
    pipeline: str, project: WholeProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    result = project.kedro_run_here(monkeypatch, "--env", "test", "--pipelines", pipeline)
    assert result.exit_code == 0, result.output
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", [*ALONE, *SUMS])
def test_a_pipeline_runs_alone_in_a_process_of_its_own_without_a_warning(
    pipeline: str, plain_project: WholeProject
) -> None:
    printed = plain_project.kedro("run", "--env", "test", "--pipelines", pipeline).stdout
    assert [line for line in printed.splitlines() if "warning" in line.lower()] == []
