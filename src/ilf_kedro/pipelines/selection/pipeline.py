"""The pipeline selection: a scorer is one node here, one file in scoring/ and one line in the catalog."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.refinement.pipeline import METHODS
from ilf_kedro.pipelines.selection import nodes

SCORERS = ("random", "longest", "instruct_rm")


def create_pipeline() -> Pipeline:
    """Create the nodes from refinement sets to scores and selections."""
    templates = [f"prompt.instruct_rm_{number}" for number in range(1, 6)]
    return Pipeline(
        [
            Node(
                nodes.collect_refinements,
                [f"refinements.{method}" for method in METHODS],
                "refinements.all",
                name="collect_refinements",
            ),
            Node(nodes.score_random, ["refinements.all", "params:seed"], "scores.random", name="score_random"),
            Node(nodes.score_longest, ["refinements.all", "base_model"], "scores.longest", name="score_longest"),
            Node(
                nodes.score_instruct_rm,
                ["refinements.all", "examples.train", "instruct_rm", *templates],
                "scores.instruct_rm",
                name="score_instruct_rm",
                tags="language_model",
            ),
            Node(nodes.collect_scores, [f"scores.{scorer}" for scorer in SCORERS], "scores", name="collect_scores"),
            Node(nodes.select_refinements, ["scores", "refinements.all"], "selections", name="select_refinements"),
        ],
        namespace="selection",
        prefix_datasets_with_namespace=False,
        tags="selection",
    )
