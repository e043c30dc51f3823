"""The data_prep pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.data_prep.nodes import COMPARISONS, UNDIVIDED, describe_texts, map_splits, nest_subsets
from ilf_kedro.pipelines.namespaces import bind
from ilf_kedro.schemas import SPLITS
from ilf_kedro.tasks import Task

__all__ = ["create_pipeline", "raw_sources"]


def raw_sources(task: Task) -> dict[str, str]:
    """Return the catalog's name of each source that `map_splits` takes, by the name under which it takes it."""
    names = task.given_splits or (UNDIVIDED,)
    sources: dict[str, str] = {name: f"raw.{name}" for name in names}
    if task.comparisons is not None:
        sources |= {f"{COMPARISONS}{name}": f"raw.comparisons.{name}" for name in names}
    return sources


def create_pipeline(task: Task, unit_tests: str | None = None) -> Pipeline:
    """Map the raw splits that the task has, nest the training subsets, and describe the texts.

    `unit_tests` is the field whose tests the verifier will run, if it will.
    """
    examples = [f"examples.{split}" for split in SPLITS]
    sources = raw_sources(task)
    tables = {f"{kind}_{split}": f"{kind}.{split}" for kind in ("examples", "comparisons") for split in SPLITS}
    return Pipeline(
        [
            Node(
                bind(map_splits, unit_tests=unit_tests),
                inputs={"task": "params:task", "options": "params:data_prep", "seed": "params:seed", **sources},
                outputs={**tables, **{name: name for name in ("offer", "rejected_rows", "near_duplicates")}},
                name="map_splits",
            ),
            Node(
                nest_subsets,
                inputs=["examples.train", "rejected_rows", "params:train_sizes"],
                outputs="subsets",
                name="nest_subsets",
            ),
            Node(
                describe_texts,
                inputs=[*examples, "base_model", "params:task"],
                outputs="text_statistics",
                name="describe_texts",
            ),
        ],
        namespace="data_prep",
        prefix_datasets_with_namespace=False,
        tags="data_prep",
    )
