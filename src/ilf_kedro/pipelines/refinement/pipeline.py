"""The pipeline refinement: one node per method, which differ in their template alone."""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import get_args

from kedro.pipeline import Node, Pipeline

from ilf_kedro.options import RefinementMethod
from ilf_kedro.pipelines.refinement.nodes import refine

METHODS: tuple[str, ...] = get_args(RefinementMethod)


def create_pipeline() -> Pipeline:
    """Create one node per refinement method, from the train split to a refinement set."""
    return Pipeline(
        [
            Node(
                update_wrapper(partial(refine, method=method), refine),
                ["examples.train", "subsets", "refiner", f"prompt.{method}", "params:refinement", "params:seed"],
                f"refinements.{method}",
                name=f"sample_{method}",
                tags="language_model",
            )
            for method in METHODS
        ],
        namespace="refinement",
        prefix_datasets_with_namespace=False,
        tags="refinement",
    )
