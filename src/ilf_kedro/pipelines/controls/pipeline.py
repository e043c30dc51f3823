"""The pipeline controls: four kinds of feedback → refinements → the same scores → a section of the report."""

from __future__ import annotations

from typing import get_args

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.controls import nodes
from ilf_kedro.pipelines.controls.section import describe_controls
from ilf_kedro.pipelines.names import RefinementMethod
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.refinement.pipeline import CONTROL_FEEDBACK, refinement_nodes
from ilf_kedro.pipelines.selection.nodes import (
    collect_refinements,
    collect_scores,
    count_undefined_scores,
    select_refinements,
)
from ilf_kedro.pipelines.selection.scorers import scorer_nodes

METHODS: tuple[str, ...] = get_args(RefinementMethod)
SCORERS = ("random", "longest", "instruct_rm")


def create_pipeline(points: str) -> Pipeline:
    """Create the nodes; `points` is how feedback is split: rules or lm."""
    members = [
        Node(
            nodes.choose_examples,
            ["examples.development", "params:controls"],
            "controls.examples",
            name="choose_examples",
        ),
        *refinement_nodes(METHODS, examples="controls.examples", subsets=None, prefix="controls."),
        Node(
            collect_refinements,
            [f"controls.refinements.{method}" for method in METHODS],
            "controls.refinements.all",
            name="collect_refinements",
        ),
        *scorer_nodes(
            SCORERS, refinements="controls.refinements.all", examples="controls.examples", scores="controls.scores"
        ),
        Node(
            collect_scores,
            [f"controls.scores.{scorer}" for scorer in SCORERS],
            "controls.scores",
            name="collect_scores",
        ),
        Node(
            count_undefined_scores,
            ["controls.scores", "controls.refinements.all"],
            "controls.undefined_scores",
            name="count_undefined_scores",
        ),
        Node(
            select_refinements,
            ["controls.scores", "controls.refinements.all"],
            "controls.selections",
            name="select_refinements",
        ),
        *_point_nodes(points),
        *_reporting_nodes(),
    ]
    return Pipeline(members, namespace="controls", prefix_datasets_with_namespace=False, tags="controls")


def _point_nodes(points: str) -> list[Node]:
    if points == "lm":
        split = Node(
            nodes.split_feedback_by_model,
            ["controls.examples", "instruct_rm", "prompt.feedback_points", "params:seed"],
            "controls.points",
            name="split_feedback",
            tags="language_model",
        )
    else:
        split = Node(nodes.split_feedback_by_rules, "controls.examples", "controls.points", name="split_feedback")
    ask = Node(
        nodes.score_points,
        [
            "controls.examples",
            "controls.points",
            "controls.refinements.all",
            "instruct_rm",
            "prompt.point_incorporated",
        ],
        "controls.point_scores",
        name="score_points",
        tags="language_model",
    )
    return [split, ask]


def _reporting_nodes() -> list[Node]:
    described = {
        "examples": "controls.examples",
        "refinements": "controls.refinements.all",
        "selections": "controls.selections",
        "points": "controls.points",
        "point_scores": "controls.point_scores",
        "metrics": "controls.metrics",
        "undefined": "controls.undefined_scores",
        "options": "params:reporting",
        "refiner": "refiner",
        "instruct_rm": "instruct_rm",
    }
    described |= {name.replace(".", "_"): f"controls.{name}" for name in CONTROL_FEEDBACK.values()}
    return [
        Node(
            nodes.measure_controls,
            ["controls.scores", "controls.point_scores", "params:reporting", "params:seed"],
            "controls.metrics",
            name="measure_controls",
        ),
        Node(describe_controls, described, "section.controls", name="describe_controls"),
        page_node("controls", "ILF: what the feedback's words were worth"),
    ]
