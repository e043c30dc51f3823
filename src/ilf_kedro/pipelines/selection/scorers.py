"""The scorers as nodes: each is one entry here, and one file in scoring/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kedro.pipeline import Node

from ilf_kedro.pipelines.reward_model.inputs import REWARD_MODEL_INPUTS
from ilf_kedro.pipelines.selection import nodes
from ilf_kedro.scoring.copying import copying_scores
from ilf_kedro.scoring.ensemble import SCORER as ENSEMBLE

__all__ = ["SCORERS", "ScorerNode", "scorer_nodes"]


@dataclass(frozen=True, slots=True)
class ScorerNode:
    """How a scorer becomes a node.

    The function takes the refinements, the examples where `on_examples` says so, and then the data sets
    `inputs`; it returns the table of its scores.
    """

    function: Callable[..., Any]
    inputs: tuple[str, ...] = ()
    on_examples: bool = True
    asks_model: bool = True


SCORERS: Mapping[str, ScorerNode] = {
    "random": ScorerNode(nodes.score_random, ("params:seed",), on_examples=False, asks_model=False),
    "longest": ScorerNode(nodes.score_longest, ("base_model",), on_examples=False, asks_model=False),
    "copying": ScorerNode(copying_scores, asks_model=False),
    "instruct_rm": ScorerNode(
        nodes.score_instruct_rm, ("instruct_rm", *(f"prompt.instruct_rm_{number}" for number in range(1, 6)))
    ),
    "log_probability": ScorerNode(
        nodes.score_log_probability,
        ("likelihood_model", "prompt.log_probability_refinement", "prompt.log_probability_feedback"),
    ),
    "embedding_similarity": ScorerNode(nodes.score_embedding_similarity, ("embedder",)),
    "classifier": ScorerNode(nodes.score_classifier, ("classifier", "prompt.classifier")),
    "reward_model": ScorerNode(nodes.score_reward_model, REWARD_MODEL_INPUTS),
    "verifier": ScorerNode(nodes.score_verifier, ("params:selection",), asks_model=False),
    ENSEMBLE: ScorerNode(nodes.score_ensemble, ("params:selection",), on_examples=False, asks_model=False),
}


def scorer_nodes(
    scorers: Sequence[str],
    *,
    refinements: str = "refinements.all",
    examples: str = "examples.train",
    scores: str = "scores",
) -> list[Node]:
    """Create one node per scorer named, in the order given: score_{scorer}, which makes {scores}.{scorer}.

    `refinements` and `examples` are the data sets that are scored. An ensemble is made of the scores of all
    the other scorers named.

    Raises:
        KeyError: there is no such scorer.
    """
    created = []
    for name in scorers:
        scorer = SCORERS[name]
        inputs = [refinements, *([examples] if scorer.on_examples else []), *scorer.inputs]
        if name == ENSEMBLE:
            inputs += [f"{scores}.{other}" for other in scorers if other != ENSEMBLE]
        tags = "language_model" if scorer.asks_model else None
        created.append(Node(scorer.function, inputs, f"{scores}.{name}", name=f"score_{name}", tags=tags))
    return created
