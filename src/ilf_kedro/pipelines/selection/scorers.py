"""The scorers as nodes. Any that is registered (scoring/registry.py) has one; three take the project's parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from inspect import signature
from typing import Any

from kedro.pipeline import Node

from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.pipelines.requirements import asks
from ilf_kedro.pipelines.reward_model.inputs import REWARD_MODEL_INPUTS
from ilf_kedro.pipelines.selection import nodes
from ilf_kedro.scoring.ensemble import SCORER as ENSEMBLE
from ilf_kedro.scoring.registry import Scorer, scorers
from ilf_kedro.scoring.reward_model import SCORER as REWARD_MODEL
from ilf_kedro.scoring.verifier import SCORER as VERIFIER

__all__ = ["asks_model", "scorer_nodes"]

_BY_PARAMETERS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    REWARD_MODEL: (nodes.score_reward_model, REWARD_MODEL_INPUTS),
    VERIFIER: (nodes.score_verifier, ("params:selection", "params:task")),
    ENSEMBLE: (nodes.score_ensemble, ("params:selection",)),
}


def scorer_nodes(
    names: Sequence[str],
    *,
    refinements: str = "refinements.all",
    examples: str = "examples.train",
    scores: str = "scores",
    control_feedback: Sequence[str] = (),
) -> list[Node]:
    """Create one node per scorer named, in the order given: score_{scorer}, which makes {scores}.{scorer}.

    `refinements` and `examples` are the data sets that are scored, `control_feedback` those of the feedback that
    controls among them were shown. An ensemble is made of the scores of all the other scorers named.

    Raises:
        KeyError: there is no such scorer.
    """
    created = []
    for name in names:
        scorer = scorers()[name]
        function, takes = _BY_PARAMETERS.get(name) or (_function(scorer), scorer.takes)
        inputs = [refinements, *([examples] if scorer.on_examples else []), *takes]
        if name == VERIFIER:
            inputs += control_feedback
        if name == ENSEMBLE:
            inputs += [f"{scores}.{other}" for other in names if other != ENSEMBLE]
        tags = "language_model" if asks_model(name) else None
        created.append(Node(function, inputs, f"{scores}.{name}", name=f"score_{name}", tags=tags))
    return created


def asks_model(name: str) -> bool:
    """Tell whether a scorer asks a model, the reward model among them.

    Raises:
        KeyError: there is no such scorer.
    """
    return scorers()[name].asks is not None or name == REWARD_MODEL


def _function(scorer: Scorer) -> Callable[..., Any]:
    """Return the node's function: with the scorer's own signature, and what it asks of its model declared."""
    function = update_wrapper(bind(nodes.run_scorer, scorer=scorer.name), scorer.function)
    if scorer.asks is None:
        return function
    model = list(signature(scorer.function).parameters)[1 + scorer.on_examples]
    return asks(f"the scorer {scorer.name}", **{model: scorer.asks})(function)
