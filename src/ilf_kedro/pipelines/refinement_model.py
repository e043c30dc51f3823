"""The refinement model: finetuned on people's refinements, it refines in place of the refiner (Chen et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Node, Pipeline

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel, TrainableModel
from ilf_kedro.pipelines.finetune.nodes import finetune
from ilf_kedro.pipelines.finetune.targets import written_refinements
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.pipelines.namespaces import bind

__all__ = ["by_refinement_model"]

NAME: Arm = "refinement_model"


def by_refinement_model(pipelines: Mapping[str, Pipeline], *, n_written: int, n_refined: int) -> dict[str, Pipeline]:
    """Return the pipelines with the refinement model in the place of the refiner, wherever one refines.

    The pipeline refinement trains it, on the last `n_written` training examples; the first `n_refined`, which it will
    refine, are not among them. Who writes feedback stays the same, and so does finetune, which compares the two.
    """
    changed = {}
    for name, pipeline in pipelines.items():
        refining = [node for node in pipeline.nodes if name != "finetune" and _refines(node)]
        if refining:
            others = Pipeline([node for node in pipeline.nodes if node not in refining])
            pipeline = others + Pipeline(Pipeline(refining), inputs={"refiner": NAME}) + _opening()
        if name == "refinement":
            pipeline = _training(n_written, n_refined) + pipeline
        changed[name] = pipeline
    return changed


def open_refinement_model(base_model: TrainableModel, checkpoint: Checkpoint) -> LanguageModel:
    """Return the base model with what it learned from people's refinements."""
    return base_model.with_checkpoint(checkpoint)


def _refines(node: Node) -> bool:
    return "refiner" in node.inputs and any(name.startswith("prompt.refinement_") for name in node.inputs)


def _training(n_written: int, n_refined: int) -> Pipeline:
    targets, checkpoint = f"{NAME}.targets", f"{NAME}.checkpoint"
    choose = bind(written_refinements, n_written=n_written, n_refined=n_refined)
    asked = ["base_model", targets, "prompt.refinement_with_feedback", "params:finetune", "params:seed"]
    train = bind(finetune, train_size=n_written, label=NAME, arm=NAME)
    made = [checkpoint, f"{NAME}.training_log"]
    return _namespaced(
        Node(choose, "examples.train", targets, name="choose_written_refinements"),
        Node(train, [*asked, "training_workspace"], made, name="train_refinement_model", tags="training"),
    )


def _opening() -> Pipeline:
    inputs = ["base_model", f"{NAME}.checkpoint"]
    return _namespaced(Node(open_refinement_model, inputs, NAME, name="open_refinement_model"))


def _namespaced(*members: Node) -> Pipeline:
    return Pipeline(list(members), namespace="refinement", prefix_datasets_with_namespace=False, tags="refinement")
