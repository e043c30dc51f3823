"""A run is refused as a whole where a language model cannot answer what a node will ask."""

from __future__ import annotations

from functools import partial, update_wrapper
from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset
from kedro.pipeline import Node, Pipeline

from ilf_kedro.language_models.protocol import (
    Capability,
    ChoiceModel,
    Embedder,
    LanguageModel,
    Model,
    TextGenerator,
    TokenCounter,
    TrainableModel,
    lacks,
)
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.requirements import asks, protocols
from ilf_kedro.wiring.hooks.capabilities import CapabilityError
from tests.support.kedro_setup import set_up
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


def test_a_model_that_is_not_what_a_node_needs_is_named_before_any_request(project: MiniProject) -> None:
    def prepare(base_model: TokenCounter) -> str:
        raise AssertionError("it ran")

    def train(text: str, base_model: TrainableModel, *, epochs: int) -> str:
        raise AssertionError("it ran")

    def write(base_model: TextGenerator) -> str:
        raise AssertionError("it ran")

    entry = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "openai", "model": "gpt", "name": "far"}
    project.write("base/catalog_models.yml", {"base_model": {**entry, "base_url": "https://host.invalid/v1"}})
    trained = Node(update_wrapper(partial(train, epochs=1), train), ["text", "base_model"], "checkpoint", name="train")
    nodes = [Node(prepare, "base_model", "text", name="prepare"), trained, Node(write, "base_model", "x", name="write")]
    project.register(whole=Pipeline(nodes))
    with pytest.raises(CapabilityError) as caught:
        project.run(pipeline_names=["whole"])
    counter, trainable = caught.value.message.splitlines()[1:]
    assert counter.startswith("  base_model: the node prepare needs a TokenCounter (what can say how many tokens")
    assert trainable.startswith("  base_model: the node train needs a TrainableModel (a language model whose weights")
    for line in (counter, trainable):
        assert line.endswith("which 'far' is not; name a model of the backend local in the catalog")


def test_every_model_that_cannot_be_loaded_is_named_before_any_request(project: MiniProject, tmp_path: Path) -> None:
    def write(refiner: TextGenerator, judge: ChoiceModel, other: TextGenerator) -> str:
        raise AssertionError("it ran")

    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text("{}")
    half = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "local", "model": str(tmp_path / "half")}
    scripted = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "scripted"}
    project.write("base/catalog_models.yml", {"refiner": half, "judge": half, "other": scripted})
    project.register(whole=Pipeline([Node(write, ["refiner", "judge", "other"], "x", name="write")]))
    with pytest.raises(CapabilityError) as caught:
        project.run(pipeline_names=["whole"])
    lead, only = caught.value.message.splitlines()
    assert lead == "Nothing was run."
    assert only.startswith(
        f"  judge, refiner: {tmp_path / 'half'} is no complete model: it lacks tokenizer_config.json"
    )


def test_every_node_names_the_protocols_of_its_models(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All nodes of the project: a hint that cannot be resolved would leave its model unchecked."""
    monkeypatch.chdir(project_root)
    set_up(monkeypatch, users_layer="base")
    nodes = {node.name: node for pipeline in pipelines.values() for node in pipeline.nodes}
    needed = {name: protocols(node) for name, node in nodes.items()}
    assert needed["data_prep.describe_texts"] == {"base_model": TokenCounter}
    assert sum(map(len, needed.values())) > 50


def test_what_a_model_lacks_is_told_without_calling_it() -> None:
    class Half:
        name, capabilities = "half", frozenset[Capability]()

        @property
        def revision(self) -> str:
            raise AssertionError("it was called")

        def embed(self, texts: list[str]) -> None: ...

    assert lacks(Half(), Model) == lacks(Half(), Embedder) == []
    assert lacks(Half(), ChoiceModel) == ["choice_probabilities"]
    assert lacks(Half(), TokenCounter) == ["count_tokens"]
    assert set(lacks(Half(), TrainableModel)) > {"count_tokens", "generate", "source", "token_scoring"}


def test_a_prompt_of_several_messages_is_refused_for_a_model_of_one_text(project: MiniProject) -> None:
    def write(writer: LanguageModel, template: str) -> str:
        return "written"

    project.write("base/catalog_models.yml", {"writer": {"type": f"{__name__}.WriterDataset"}})
    prompt = {"type": "ilf_kedro.datasets.PromptTemplateDataset", "filepath": str(project.path / "conf/policy.txt")}
    project.write("base/catalog_prompts.yml", {"prompt.policy": prompt})
    (project.path / "conf/policy.txt").write_text("messages: [{role: user, content: '{{ post }}'}]")
    project.register(whole=Pipeline([Node(write, ["writer", "prompt.policy"], "written", name="write")]))
    with pytest.raises(CapabilityError, match=r"writer: prompt\.policy, with messages .* 'messages', .*format: chat"):
        project.run(pipeline_names=["whole"])
