"""Every registered pipeline runs alone, by the command line, on what one run of everything has left.

Those of the main job are among the quick tests too (test_whole_run.py).
"""

from __future__ import annotations

import pytest

from tests.support.whole_project import WholeProject

MAIN = ("data_prep", "refinement", "selection", "reward_model", "finetune", "reporting")
ANALYSES = (
    "contrasts",
    "tournament",
    "controls",
    "reward_model_comparison",
    "sweep",
    "rounds",
    "analysis",
    "audit",
)
ALONE = (*MAIN, *ANALYSES, "export")
SUMS = ("__default__", "full")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> WholeProject:
    """A project in which everything ran once, as conf/test has it."""
    project = WholeProject.create(tmp_path_factory.mktemp("every_pipeline") / "project")
    project.kedro("run", "--env", "test", "--pipelines", "full")
    return project


def test_the_list_of_pipelines_is_whole(project: WholeProject) -> None:
    listed = project.kedro("registry", "list").stdout.split()
    assert sorted(name for name in listed if name != "-") == sorted((*ALONE, *SUMS))


@pytest.mark.parametrize("pipeline", [*ALONE, *SUMS])
def test_a_pipeline_runs_alone_without_a_warning(pipeline: str, project: WholeProject) -> None:
    printed = project.kedro("run", "--env", "test", "--pipelines", pipeline).stdout
    assert [line for line in printed.splitlines() if "warning" in line.lower()] == []
