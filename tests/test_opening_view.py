"""What kedro-viz shows first: the six pipelines, and what passes between them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Pipeline

from tests.support.kedro_setup import set_up


@pytest.fixture
def main_job(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.chdir(project_root)
    set_up(monkeypatch, users_layer="base")
    with KedroSession.create(project_root, save_on_close=False) as session:
        session.load_context()
        return pipelines["__default__"]


def passing_between(whole: Pipeline) -> set[str]:
    """The data sets that no outermost namespace holds: it reads them, or others read them, or nothing does."""
    found = set()
    for name in {str(node.namespace).split(".")[0] for node in whole.nodes}:
        part = whole.only_nodes_with_namespaces([name])
        rest = whole - part
        found |= part.inputs() | part.outputs() | (part.all_outputs() & rest.inputs())
    return {name for name in found if not name.startswith("params:")}


def test_every_node_of_the_main_job_is_folded_into_one_of_six_pipelines(main_job: Pipeline) -> None:
    outermost = {str(node.namespace).split(".")[0] for node in main_job.nodes}
    assert outermost == {"data_prep", "refinement", "selection", "reward_model", "finetune", "reporting"}


def test_tables_of_single_models_scorers_and_methods_are_folded_away(main_job: Pipeline) -> None:
    single = {name for name in passing_between(main_job) if name.startswith(("finetune.", "scores.", "refinements."))}
    assert single == {"refinements.all"}


def test_as_many_data_sets_pass_between_pipelines_however_many_arms_there_are(main_job: Pipeline) -> None:
    passing = passing_between(main_job)
    assert len({name for name in passing if not name.startswith("prompt.")}) <= 40
