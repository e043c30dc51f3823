"""Which arms' models answer the prompt of the base model's outputs."""

from __future__ import annotations

from collections.abc import Sequence

from ilf_kedro.pipelines.finetune.arms import ARMS
from ilf_kedro.pipelines.names import Arm


def policy_arms(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Return the arms whose models write a output by `prompt.policy`, as the base model does.

    The others answer prompts of their own: a divergence from the base model, or a file of outputs, would
    not mean the same for them.
    """
    return tuple(arm for arm in arms if ARMS[arm].prompt == "prompt.policy")
