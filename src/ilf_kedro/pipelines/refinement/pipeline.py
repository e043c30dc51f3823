"""The pipeline refinement: one node per method, which differ in their template or in whose feedback it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.pipelines.refinement import control_feedback, nodes
from ilf_kedro.schemas.names import WITH_FEEDBACK

__all__ = ["CONTROL_FEEDBACK", "create_pipeline", "refinement_nodes"]

# The methods that see feedback which is not the example's own, and the data set of that feedback.
CONTROL_FEEDBACK = {
    "refinement_with_shuffled_feedback": "feedback.shuffled",
    "refinement_with_model_feedback": "feedback.model",
}


def create_pipeline(methods: Sequence[str]) -> Pipeline:
    """Create the nodes of the refinement methods, from the train split to a refinement set each."""
    return Pipeline(
        refinement_nodes(methods),
        namespace="refinement",
        prefix_datasets_with_namespace=False,
        tags="refinement",
    )


def refinement_nodes(
    methods: Sequence[str], *, examples: str = "examples.train", subsets: str | None = "subsets", prefix: str = ""
) -> list[Node]:
    """Create sample_{method}, which makes {prefix}refinements.{method}, and the nodes that make other feedback.

    All examples are refined where there are no `subsets`.
    """
    chosen = [] if subsets is None else [subsets]
    created = []
    if "refinement_with_shuffled_feedback" in methods:
        inputs = [examples, "params:seed", *chosen]
        created.append(
            Node(control_feedback.shuffle_feedback, inputs, f"{prefix}feedback.shuffled", name="shuffle_feedback")
        )
    if "refinement_with_model_feedback" in methods:
        inputs = [examples, "refiner", "prompt.feedback", "params:refinement", "params:seed", *chosen]
        created.append(
            Node(
                control_feedback.write_feedback,
                inputs,
                f"{prefix}feedback.model",
                name="write_feedback",
                tags="language_model",
            )
        )
    for method in methods:
        function: Callable[..., Any] = nodes.refine_all if subsets is None else nodes.refine
        inputs = [examples, *chosen]
        if method in CONTROL_FEEDBACK:
            function, inputs = nodes.refine_by_control_feedback, [examples, f"{prefix}{CONTROL_FEEDBACK[method]}"]
        # Whoever's feedback it is, the request is the same: only its words differ.
        prompt = f"prompt.{WITH_FEEDBACK if method in CONTROL_FEEDBACK else method}"
        created.append(
            Node(
                bind(function, method=method),
                [*inputs, "refiner", prompt, "params:refinement", "params:seed"],
                f"{prefix}refinements.{method}",
                name=f"sample_{method}",
                tags="language_model",
            )
        )
    return created
