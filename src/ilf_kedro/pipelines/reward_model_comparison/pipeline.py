"""The pipeline reward_model_comparison: one namespace per kind and train size, then tables and a section."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.namespaces import bind, namespaced
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.reward_model.options import ComparisonOptions
from ilf_kedro.pipelines.reward_model_comparison import nodes, section
from ilf_kedro.reward_models import RewardModelKind

NAME = "reward_model_comparison"


def create_pipeline(options: ComparisonOptions) -> Pipeline:
    """Create a reward model of every kind and train size, and what compares them."""
    names = {(kind, size): f"{NAME}.{kind}.n{size}" for kind in options.kinds for size in options.train_sizes}
    return sum(
        (_one_model(name, kind, size) for (kind, size), name in names.items()),
        _comparing([f"{name}.predictions" for name in names.values()]),
    )


def _one_model(name: str, kind: RewardModelKind, size: int) -> Pipeline:
    prompt = "prompt.reward_model_a_b" if kind == "a_b" else "prompt.reward_model"
    train = bind(nodes.train, kind=kind, train_size=size, label=name)
    predict = bind(nodes.predict, kind=kind)
    return namespaced(
        name,
        [
            Node(
                train,
                [
                    "reward_base_model",
                    "comparisons.train",
                    prompt,
                    "params:reward_model",
                    "params:seed",
                    "training_workspace",
                ],
                ["checkpoint", "training_log"],
                name="train",
                tags="training",
            ),
            Node(
                predict,
                ["reward_base_model", "checkpoint", prompt, "comparisons.validation", "base_model"],
                "predictions",
                name="predict",
                tags="language_model",
            ),
        ],
        tags=NAME,
    )


def _comparing(predictions: list[str]) -> Pipeline:
    tables = [f"{NAME}.accuracies", f"{NAME}.breakdowns"]
    return Pipeline(
        [
            Node(nodes.evaluate, ["params:reward_model", *predictions], tables, name="evaluate"),
            Node(section.describe, [*tables, "published_results"], "section.reward_model_comparison", name="describe"),
            page_node("reward_model_comparison", section.TITLE),
        ],
        namespace=NAME,
        prefix_datasets_with_namespace=False,
        tags=NAME,
    )
