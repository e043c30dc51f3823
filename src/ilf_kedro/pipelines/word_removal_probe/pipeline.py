"""The pipeline word_removal_probe: one node per language model named in the parameters."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.pipelines.pages import page_node
from ilf_kedro.pipelines.word_removal_probe import nodes

NAME = "word_removal_probe"


def create_pipeline(models: Sequence[str]) -> Pipeline:
    """Create the nodes that ask each of the catalog's `models`, and the page."""
    options = f"params:{NAME}"
    answers = [f"{NAME}.{model}.answers" for model in models]
    asked = [
        Node(
            bind(nodes.answer_items, model_name=model),
            [f"{NAME}.items", model, "word_removal.prompt.probe", options, "params:seed"],
            output,
            name=f"ask_{model}",
            tags="language_model",
        )
        for model, output in zip(models, answers, strict=True)
    ]
    exact = f"{NAME}.exact_match"
    return Pipeline(
        [
            Node(nodes.draw_items, [options, "params:seed"], f"{NAME}.items", name="draw_items"),
            *asked,
            Node(nodes.count_exact_matches, [f"{NAME}.items", options, *answers], exact, name="count_exact_matches"),
            Node(
                nodes.describe_probe,
                [exact, f"{NAME}.items", "published_results", options],
                f"section.{NAME}",
                name="describe_probe",
            ),
            page_node(NAME, "A probe of language models"),
        ],
        namespace=NAME,
        prefix_datasets_with_namespace=False,
        tags=NAME,
    )
