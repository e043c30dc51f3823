"""A run is refused as a whole where a language model cannot answer what a node will ask."""

from __future__ import annotations

from functools import partial, update_wrapper

import pytest
from kedro.io import AbstractDataset
from kedro.pipeline import Node, Pipeline

from ilf_kedro.language_models.protocol import Capability, LanguageModel
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.requirements import asks
from ilf_kedro.wiring.hooks.capabilities import CapabilityError
from tests.support.mini_project import MiniProject, project

__all__ = ["project"]


class WriterDataset(AbstractDataset[None, LanguageModel]):
    """A language model that can write and do nothing else."""

    def load(self) -> LanguageModel:
        return ScriptedLanguageModel("writer", capabilities={Capability.GENERATE})

    def save(self, data: None) -> None: ...

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, object]:
        return {}


@asks("the scorer InstructRM", judge=Capability.CHOICE_PROBABILITIES)
def score(written: str, *, judge: LanguageModel) -> str:
    return written


@asks("the scorer log_probability", model=Capability.LOG_LIKELIHOOD)
def likelihood(written: str, model: LanguageModel, number: int = 0) -> str:
    return written


def test_every_fault_is_named_before_any_request(project: MiniProject) -> None:
    asked: list[str] = []

    @asks("the pipeline refinement", refiner=Capability.GENERATE)
    def write(refiner: LanguageModel) -> str:
        asked.append(refiner.name)
        return "written"

    nodes = [
        Node(write, "writer", "written", name="write"),
        Node(score, {"written": "written", "judge": "writer"}, "scored", name="score"),
        Node(update_wrapper(partial(likelihood, number=1), likelihood), ["written", "writer"], "likely", name="weigh"),
    ]
    project.write("base/catalog_models.yml", {"writer": {"type": f"{__name__}.WriterDataset"}})
    project.register(whole=Pipeline(nodes), first=Pipeline(nodes[:1]))
    with pytest.raises(CapabilityError) as caught:
        project.run(pipeline_names=["whole"])
    message = caught.value.message
    assert "the scorer InstructRM needs the capability 'choice_probabilities'" in message
    assert "the scorer log_probability needs the capability 'log_likelihood'" in message
    assert "'writer'" in message
    assert "local, openai" in message
    assert "pipeline refinement" not in message
    assert asked == []
    project.run(pipeline_names=["first"])
    assert asked == ["writer"]
