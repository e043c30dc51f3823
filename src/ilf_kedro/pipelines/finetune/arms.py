"""The arms: which prompt each is trained on, and the nodes that make its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kedro.pipeline import Node

from ilf_kedro.pipelines.finetune import targets
from ilf_kedro.pipelines.names import CONTROL_ARMS, Arm, Chooser
from ilf_kedro.pipelines.namespaces import bind

__all__ = [
    "ARMS",
    "REFINEMENT_MODEL",
    "ArmPlan",
    "BestOfNSource",
    "RefinementSource",
    "target_nodes",
    "writing_outputs",
]

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
    """What the arms of refinements learn from: how many of each example, and the scorers that choose them."""

    top_k: int = 1
    scorers: tuple[str, ...] = ("instruct_rm",)


@dataclass(frozen=True, slots=True)
class BestOfNSource:
    """Whose outputs best-of-N chooses among (None: those of the most refinements), and what chooses (None: nothing)."""

    sampler: str | None = None
    chooser: Chooser | None = "reward_model"


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
    if source.top_k > 1:
        inputs = (*_SPLIT, "selections.top_k", "params:selection")
        top = bind(targets.target_top_refinements, train_size=train_size, top_k=source.top_k, arm=arm)
        return [Node(top, list(inputs), "targets", name="choose_targets")]
    return [_choose(plan.function, plan.inputs, train_size=train_size)]


def _choose(function: Callable[..., Any], inputs: Sequence[str], **constants: object) -> Node:
    return Node(bind(function, **constants), list(inputs), "targets", name="choose_targets")
