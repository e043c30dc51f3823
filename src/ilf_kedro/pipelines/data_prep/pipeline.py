"""The data_prep pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.data_prep.nodes import describe_texts, nest_subsets, validate_splits

_SPLITS = ("train", "development", "validation", "test")


def create_pipeline() -> Pipeline:
    """Validate the raw splits, nest the training subsets, and describe the texts."""
    examples = [f"examples.{split}" for split in _SPLITS]
    comparisons = [f"comparisons.{split}" for split in _SPLITS]
    return Pipeline(
        [
            Node(
                validate_splits,
                inputs=[*(f"raw.{split}" for split in _SPLITS), "params:data_prep"],
                outputs=[*examples, *comparisons, "rejected_rows"],
                name="validate_splits",
            ),
            Node(
                nest_subsets,
                inputs=["examples.train", "rejected_rows", "params:train_sizes"],
                outputs="subsets",
                name="nest_subsets",
            ),
            Node(
                describe_texts,
                inputs=[*examples, "base_model"],
                outputs="text_statistics",
                name="describe_texts",
            ),
        ],
        namespace="data_prep",
        prefix_datasets_with_namespace=False,
        tags="data_prep",
    )
