"""The arms: which prompt each is trained on, and the nodes that make its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kedro.pipeline import Node

from ilf_kedro.pipelines.finetune import targets
from ilf_kedro.pipelines.names import CONTROL_ARMS, Arm
from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.pipelines.refine_and_select import refinement_node, selection_nodes

__all__ = ["ARMS", "REFINEMENT_MODEL", "ArmPlan", "RefinementSource", "target_nodes", "writing_outputs"]

REFINEMENT_MODEL: Arm = "refinement_model"
JOINT: Arm = "feedback_and_refinement"
BEST_OF_N_OUTPUTS: Arm = "best_of_n_outputs"


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """The prompt that an arm's model is trained to answer, and who makes its targets from which data sets."""

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    prompt: str = "prompt.policy"


@dataclass(frozen=True, slots=True)
class RefinementSource:
    """Where the refinements arm gets its refinements: how many of each example, by whom, scored by which scorers.

    Its controls take as many of each example, by the catalog's refiner.

    With `by_refinement_model` the finetuned refinement model of the same size writes them in the arm's own
    namespace; else they come from the pipelines refinement and selection.
    """

    top_k: int = 1
    by_refinement_model: bool = False
    scorers: tuple[str, ...] = ("instruct_rm",)


_SPLIT = ("examples.train", "subsets")
_CHOSEN = (*_SPLIT, "selections", "params:selection")

ARMS: Mapping[Arm, ArmPlan] = {
    "refinements": ArmPlan(targets.target_refinements, _CHOSEN),
    "references": ArmPlan(partial(targets.target_texts, column="reference"), _SPLIT),
    "initial_outputs": ArmPlan(partial(targets.target_texts, column="initial_output"), _SPLIT),
    **{arm: ArmPlan(partial(targets.target_refinements, arm=arm), _CHOSEN) for arm in CONTROL_ARMS},
    JOINT: ArmPlan(targets.target_joint_outputs, _CHOSEN, "prompt.feedback_and_refinement"),
    BEST_OF_N_OUTPUTS: ArmPlan(targets.target_best_of_n, (*_SPLIT, "finetune.best_of_n_outputs.outputs")),
    REFINEMENT_MODEL: ArmPlan(targets.target_written_refinements, _SPLIT, "prompt.refinement_with_feedback"),
}


def writing_outputs(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Return the arms whose models write outputs: all but the refinement model, which rewrites one."""
    return tuple(arm for arm in arms if arm != REFINEMENT_MODEL)


def target_nodes(arm: Arm, train_size: int, source: RefinementSource) -> list[Node]:
    """Create the nodes that end in the data set `targets` of an arm at a size."""
    plan = ARMS[arm]
    if arm != "refinements" and arm not in CONTROL_ARMS:
        return [_choose(plan.function, plan.inputs, train_size=train_size)]
    if source.by_refinement_model and arm == "refinements":
        return _refined_by_model(train_size, source)
    if source.top_k > 1:
        inputs = (*_SPLIT, "selections.top_k", "params:selection")
        top = bind(targets.target_top_refinements, train_size=train_size, top_k=source.top_k, arm=arm)
        return [Node(top, list(inputs), "targets", name="choose_targets")]
    return [_choose(plan.function, plan.inputs, train_size=train_size)]


def _refined_by_model(train_size: int, source: RefinementSource) -> list[Node]:
    """Let the refinement model of the same size write the refinements that are selected from."""
    checkpoint = f"finetune.{REFINEMENT_MODEL}.n{train_size}.checkpoint"
    unseen = bind(targets.unseen_examples, train_size=train_size)
    inputs = ("examples.train", "subsets", "own_selections", "params:selection")
    return [
        Node(unseen, list(_SPLIT), "own_examples", name="unseen_examples"),
        refinement_node("own_examples", refiner=("base_model", checkpoint), prefix="own_"),
        *selection_nodes("own_examples", source.scorers, prefix="own_"),
        _choose(targets.target_refinements, inputs, train_size=train_size),
    ]


def _choose(function: Callable[..., Any], inputs: Sequence[str], **constants: object) -> Node:
    return Node(bind(function, **constants), list(inputs), "targets", name="choose_targets")
