"""The pipeline selection: a scorer is one file in scoring/."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.refinement.pipeline import CONTROL_FEEDBACK
from ilf_kedro.pipelines.selection import nodes
from ilf_kedro.pipelines.selection.scorers import scorer_nodes

__all__ = ["create_pipeline"]


def create_pipeline(scorers: Sequence[str], methods: Sequence[str]) -> Pipeline:
    """Create the nodes from the refinement sets of `methods` to the scores of `scorers`, and what they choose."""
    control_feedback = [name for method, name in CONTROL_FEEDBACK.items() if method in methods]
    further = []
    if "instruct_rm" in scorers:
        further.append(
            Node(
                nodes.measure_disagreement,
                "scores.instruct_rm",
                "instruct_rm_disagreement",
                name="measure_disagreement",
            )
        )
    collect = Node(
        nodes.collect_refinements,
        [f"refinements.{method}" for method in methods],
        "refinements.all",
        name="collect_refinements",
    )
    selection = Pipeline(
        [
            *scorer_nodes(scorers, control_feedback=control_feedback),
            *further,
            Node(nodes.collect_scores, [f"scores.{scorer}" for scorer in scorers], "scores", name="collect_scores"),
            Node(
                nodes.count_undefined_scores,
                ["scores", "refinements.all"],
                "undefined_scores",
                name="count_undefined_scores",
            ),
            Node(
                nodes.select_refinements,
                ["scores", "refinements.all", "params:selection"],
                "selections",
                name="select_refinements",
            ),
            Node(
                nodes.select_top_refinements,
                ["scores", "refinements.all", "params:selection"],
                "selections.top_k",
                name="select_top_refinements",
            ),
        ],
        namespace="selection",
        prefix_datasets_with_namespace=False,
        tags="selection",
    )
    # Beside the sets that it collects, so that kedro-viz folds them away.
    beside = Pipeline([collect], namespace="refinement", prefix_datasets_with_namespace=False, tags="selection")
    return beside + selection
