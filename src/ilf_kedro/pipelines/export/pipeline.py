"""The pipeline export: one node per kind of record, and one per arm for those that are imitated."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.export import nodes
from ilf_kedro.pipelines.export.options import ExportOptions
from ilf_kedro.tasks import Task, plain_task


def create_pipeline(arms: Sequence[str], train_size: int, options: ExportOptions, task: Task | None = None) -> Pipeline:
    """Create the nodes that write records of `arms` at `train_size`, of preferences, comparisons and feedback.

    What the task's data lack is left out.
    """
    task = task or plain_task()
    members = [node for arm in arms for node in _supervised(arm, train_size, options)]
    members += _of_feedback() if task.has_feedback else []
    if task.has_comparisons:
        pairs = ["export.reward_pairs", "export.reward_pairs_implicit"]
        inputs = ["comparisons.train", "prompt.policy"]
        members.append(Node(nodes.export_reward_pairs, inputs, pairs, name="export_reward_pairs"))
    return Pipeline(members, namespace="export", prefix_datasets_with_namespace=False, tags="export")


def _of_feedback() -> list[Node]:
    return [
        Node(
            nodes.export_preferences,
            ["examples.train", "selections", "prompt.policy", "params:selection"],
            "export.preferences",
            name="export_preferences",
        ),
        Node(
            nodes.export_privileged,
            ["examples.train", "prompt.policy", "prompt.privileged_context"],
            "export.privileged_feedback",
            name="export_privileged",
        ),
    ]


def _supervised(arm: str, train_size: int, options: ExportOptions) -> list[Node]:
    kinds = {"supervised": nodes.export_supervised, "chat": nodes.export_chat}
    if options.openai_chat:
        kinds["openai_chat"] = nodes.export_openai_chat
    inputs = [f"finetune.{arm}.n{train_size}.targets", "prompt.policy"]
    return [
        Node(function, inputs, f"export.{kind}.{arm}", name=f"export_{kind}_{arm}") for kind, function in kinds.items()
    ]
