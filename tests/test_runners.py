"""Kedro's other runners: what they need of the project's nodes and data sets, and whole runs by them."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io.data_catalog import SharedMemoryDataCatalog

from ilf_kedro.datasets import LanguageModelDataset
from tests.support.kedro_setup import set_up
from tests.support.whole_project import WholeProject, assert_same_tables


@pytest.fixture
def catalog(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> SharedMemoryDataCatalog:
    """The catalog that the ParallelRunner gets, with every data set of the default pipeline."""
    monkeypatch.chdir(project_root)
    set_up(monkeypatch, users_layer="base")
    with KedroSession.create(project_root, env="test", save_on_close=False) as session:
        made: SharedMemoryDataCatalog = session.load_context()._get_catalog(catalog_class=SharedMemoryDataCatalog)
    for name in pipelines["__default__"].datasets():
        made.get(name, fallback_to_runtime_pattern=True)
    return made


def test_every_node_and_data_set_goes_to_another_process(catalog: SharedMemoryDataCatalog) -> None:
    catalog.validate_catalog()
    for node in pipelines["__default__"].nodes:
        there = ForkingPickler.loads(ForkingPickler.dumps(node))
        assert str(there) == str(node), "its name is in the log of the other process"


@pytest.mark.parametrize("settings", [{"backend": "openai", "model": "m", "base_url": "http://localhost/v1"}])
def test_a_model_whose_costs_are_counted_stays_in_one_process(settings: dict[str, Any]) -> None:
    """Each process would have the whole budget."""
    catalog = SharedMemoryDataCatalog({"refiner": LanguageModelDataset(**settings)})
    with pytest.raises(AttributeError, match=r"cannot be used with multiprocessing.*refiner"):
        catalog.validate_catalog()


@pytest.mark.slow
def test_the_runners_make_the_same_tables_without_a_warning(tmp_path: Path) -> None:
    made = {}
    for runner in ("SequentialRunner", "ParallelRunner", "ThreadRunner"):
        project = WholeProject.create(tmp_path / runner)
        printed = project.kedro("run", "--env", "test", "--runner", runner).stdout
        assert [line for line in printed.splitlines() if "warning" in line.lower()] == []
        assert project.record().outcome == "succeeded"
        made[runner] = {name: table for name, table in project.tables().items() if "cost" not in name}
    assert_same_tables(made["SequentialRunner"], made["ParallelRunner"])
    assert_same_tables(made["SequentialRunner"], made["ThreadRunner"])


@pytest.mark.slow
def test_patterns_of_the_catalog_are_resolved(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project")
    printed = project.kedro("catalog", "resolve-patterns", "--env", "test", "--pipeline", "selection").stdout
    assert "refinements.refinement_with_feedback:" in printed
    assert "Error" not in printed
