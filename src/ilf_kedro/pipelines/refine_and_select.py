"""Refinement and selection of other examples than the main job's: those of a round, or of another refiner."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import TrainableModel
from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.pipelines.refinement.nodes import refine_all
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.selection.nodes import collect_scores, select_refinements
from ilf_kedro.pipelines.selection.scorers import scorer_nodes
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import DataFrame, Examples, Refinements
from ilf_kedro.schemas.names import WITH_FEEDBACK
from ilf_kedro.scoring.registry import scorers

__all__ = [
    "needed_scorers",
    "refine_with_checkpoint",
    "refinement_node",
    "selection_nodes",
]


def needed_scorers(target_scorer: str, declared: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the scorers that must run for the target scorer's choice: its own, or all those of an ensemble."""
    own = tuple(name for name, scorer in scorers().items() if target_scorer in scorer.scores)
    return own or tuple(declared)


def refine_with_checkpoint(
    examples: DataFrame[Examples],
    base_model: TrainableModel,
    checkpoint: Checkpoint,
    template: PromptTemplate,
    options: RefinementOptions,
    seed: int,
    *,
    method: str,
) -> DataFrame[Refinements]:
    """Sample N refinements of every example from a finetuned refinement model."""
    return refine_all(examples, base_model.with_checkpoint(checkpoint), template, options, seed, method=method)


def refinement_node(examples: str) -> Node:
    """Create the node from `examples` to refinements by the refiner."""
    return Node(
        bind(refine_all, method=WITH_FEEDBACK),
        [examples, "refiner", f"prompt.{WITH_FEEDBACK}", "params:refinement", "params:seed"],
        "refinements",
        name="refine",
        tags="language_model",
    )


def selection_nodes(examples: str, scorers: Sequence[str], *, prefix: str = "") -> list[Node]:
    """Create the nodes from {prefix}refinements to {prefix}scores and {prefix}selections."""
    refinements, scores = f"{prefix}refinements", f"{prefix}scores"
    return [
        *scorer_nodes(scorers, refinements=refinements, examples=examples, scores=scores),
        Node(collect_scores, [f"{scores}.{scorer}" for scorer in scorers], scores, name="collect_scores"),
        Node(
            select_refinements,
            [scores, refinements, "params:selection"],
            f"{prefix}selections",
            name="select_refinements",
        ),
    ]
