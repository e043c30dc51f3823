"""A verifier that cannot be used stops a run before its first node."""

from __future__ import annotations

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.selection.scorers import scorer_nodes
from ilf_kedro.settings import HOOKS
from ilf_kedro.wiring.hooks.verifier import VerifierError, VerifierHook


def check(scorers: list[str], **verifier: object) -> None:
    catalog = DataCatalog({"params:selection": MemoryDataset({"verifier": verifier})})
    VerifierHook().before_pipeline_run(Pipeline(scorer_nodes(scorers)), catalog)


def test_a_verifier_that_is_not_there_stops_the_run() -> None:
    with pytest.raises(VerifierError, match=r"(?s)Nothing was run.*no\.such:thing.*ModuleNotFoundError"):
        check(["random", "verifier"], callable="no.such:thing")


def test_arguments_that_it_does_not_take_stop_the_run() -> None:
    with pytest.raises(VerifierError, match="unexpected keyword argument 'least'"):
        check(["verifier"], arguments={"least": 3})


def test_one_that_is_there_does_not_nor_one_that_nobody_asks() -> None:
    check(["verifier"])
    check(["random"], callable="no.such:thing")


def test_the_project_has_the_hook() -> None:
    assert any(isinstance(hook, VerifierHook) for hook in HOOKS)
