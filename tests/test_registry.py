"""The registered pipelines follow the declared arms and sizes, however the project is started."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Pipeline

from ilf_kedro.pipeline_registry import register_pipelines
from ilf_kedro.wiring.context import declared_parameters
from ilf_kedro.wiring.parameter_check import ParameterError
from tests.support.kedro_setup import set_up

MAIN = ["data_prep", "refinement", "selection", "reward_model", "finetune", "reporting"]
ANALYSES = [
    "contrasts",
    "tournament",
    "controls",
    "reward_model_comparison",
    "sweep",
    "rounds",
    "analysis",
    "audit",
]
NAMES = [*MAIN, *ANALYSES, "export", "__default__", "full"]


@pytest.fixture(autouse=True)
def _only_what_is_in_git(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_root)
    set_up(monkeypatch, users_layer="base")


def structure(registered: Pipeline) -> set[str]:
    """The models that a pipeline trains: finetune.<arm>.n<size>."""
    found = (re.fullmatch(r"(finetune\.\w+\.n\d+)\.checkpoint", name) for name in registered.all_outputs())
    return {match[1] for match in found if match}


def expected(arms: list[str], sizes: list[int]) -> set[str]:
    return {f"finetune.{arm}.n{size}" for arm in arms for size in sizes}


def in_context(root: Path, env: str | None = None, params: dict[str, Any] | None = None) -> dict[str, Pipeline]:
    with KedroSession.create(root, env=env, runtime_params=params, save_on_close=False) as session:
        session.load_context()
        return dict(pipelines)


def test_the_pipelines_are_registered_in_the_order_of_the_flow(project_root: Path) -> None:
    assert list(in_context(project_root)) == NAMES


@pytest.mark.parametrize("env", [None, "test"])
def test_the_structure_follows_the_environment(project_root: Path, env: str | None) -> None:
    registered = in_context(project_root, env)
    declared = declared_parameters()
    for name in ("finetune", "__default__", "full"):
        assert structure(registered[name]) == expected(list(declared.arms), list(declared.train_sizes))


def test_the_structure_follows_params_after_another_environment(project_root: Path) -> None:
    """One process, three sessions: each gets its own structure."""
    in_context(project_root, "test")
    asked = {"finetune": {"arms": ["references", "initial_outputs"]}, "train_sizes": [3]}
    registered = in_context(project_root, "test", asked)
    assert structure(registered["finetune"]) == expected(["references", "initial_outputs"], [3])
    assert "finetune.best_of_n.outputs" not in registered["finetune"].all_outputs(), "it needs the refinements arm"
    report = registered["reporting"]
    assert {name for name in report.inputs() if name.endswith(".outputs")} == {
        "finetune.base.outputs",
        "finetune.references.n3.outputs",
        "finetune.initial_outputs.n3.outputs",
    }
    refined = in_context(project_root, "test", {"finetune": {"arms": ["refinements"]}, "train_sizes": [2, 5]})
    assert structure(refined["__default__"]) == expected(["refinements"], [2, 5])
    assert "finetune.best_of_n.outputs" in refined["reporting"].inputs()


def test_without_a_session_the_environment_is_that_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEDRO_ENV", "test")
    of_test = declared_parameters()
    monkeypatch.delenv("KEDRO_ENV")
    of_base = declared_parameters()
    assert of_test.train_sizes != of_base.train_sizes
    assert structure(register_pipelines()["finetune"]) == expected(list(of_base.arms), list(of_base.train_sizes))


def test_sessions_of_two_threads_each_have_their_own_parameters(project_root: Path) -> None:
    """As the requests of a server have: none of them, nor a thread without a session, sees another one's."""

    def sizes(params: dict[str, Any] | None) -> list[int]:
        if params is not None:
            in_context(project_root, "test", params)
        return list(declared_parameters().train_sizes)

    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        assert first.submit(sizes, {"train_sizes": [3]}).result() == [3]
        assert second.submit(sizes, {"train_sizes": [2, 5]}).result() == [2, 5]
        assert first.submit(sizes, None).result() == [3]
    assert sizes(None) not in ([3], [2, 5])


def test_kedro_viz_shows_what_was_asked_for(project_root: Path) -> None:
    """It makes a context without calling hooks."""
    data_loader = pytest.importorskip("kedro_viz.integrations.kedro.data_loader")
    asked = {"finetune": {"arms": ["references"]}}
    _, registered, _ = data_loader.load_data(project_root, env="test", extra_params=asked)
    sizes = list(declared_parameters().train_sizes)
    assert structure(registered["__default__"]) == expected(["references"], sizes)


def test_wrong_parameters_stop_the_registry(project_root: Path) -> None:
    with pytest.raises(ParameterError, match="nearest right one is seed"):
        in_context(project_root, params={"sede": 1})


def test_the_whole_needs_only_what_no_pipeline_makes(project_root: Path) -> None:
    free = in_context(project_root, "test")["__default__"].inputs()
    kinds = {re.split(r"[.:]", name)[0] for name in free}
    models = {"base_model", "refiner", "instruct_rm", "reward_base_model", "judge"}
    assert kinds <= {"raw", "params", "prompt", "published_results", "training_workspace", "run_record"} | models


def test_every_node_stands_in_the_namespace_of_its_pipeline_or_of_what_it_collects() -> None:
    registered = register_pipelines()
    collectors = {"selection": {"refinement"}, "reporting": {"finetune", "reward_model"}}
    inside = {"contrasts": {"reporting"}}
    for name in [*MAIN, *ANALYSES, "export"]:
        outermost = {(node.namespace or "").split(".")[0] for node in registered[name].nodes}
        assert outermost == inside.get(name, {name} | collectors.get(name, set()))


def test_every_name_in_a_nodes_signature_is_imported() -> None:
    """Kedro builds the options from these hints: where one cannot be resolved, the node gets a raw dict instead."""
    functions = {node.func for each in register_pipelines().values() for node in each.nodes}
    unresolved = []
    for function in functions:
        try:
            get_type_hints(function)
        except NameError as error:
            unresolved.append(f"{function.__module__}.{function.__name__}: {error}")
    assert len(functions) > 50
    assert sorted(unresolved) == []


def test_full_has_all_of_the_default_pipeline() -> None:
    registered = register_pipelines()
    assert {node.name for node in registered["__default__"].nodes} <= {node.name for node in registered["full"].nodes}


def test_full_reports_every_analysis() -> None:
    registered = register_pipelines()
    sections = {name for name in registered["full"].all_outputs() if name.startswith("section.")}
    assert len(sections) >= len(ANALYSES)
    assert sections <= registered["full"].only_nodes("reporting.write_report").inputs()
    in_main = registered["__default__"].only_nodes("reporting.write_report").inputs()
    assert in_main & sections == {"section.best_of_n"}


def test_analyses_that_are_also_wanted_run_with_the_main_job(project_root: Path) -> None:
    main = in_context(project_root, "test")["__default__"]
    asked = in_context(project_root, "test", {"also": ["rounds"]})
    added = {node.name for node in asked["__default__"].nodes} - {node.name for node in main.nodes}
    assert added == {node.name for node in asked["rounds"].nodes}
    assert "section.rounds" in asked["__default__"].only_nodes("reporting.write_report").inputs()
    with pytest.raises(ParameterError, match=r"found round, expected analyses: .*rounds"):
        in_context(project_root, "test", {"also": ["round"]})
