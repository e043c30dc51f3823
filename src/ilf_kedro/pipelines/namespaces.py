"""Namespaces: what is made in one carries its name, what it reads from elsewhere keeps its own."""

from __future__ import annotations

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

__all__ = ["namespaced"]


def namespaced(name: str, members: Sequence[Node | Pipeline], *, tags: str) -> Pipeline:
    """Put the nodes into the namespace `name`, and the data sets that they make with them."""
    pipeline = Pipeline(list(members))
    free = pipeline.inputs()
    parameters = {each for each in free if each.startswith("params:")}
    return Pipeline(pipeline, namespace=name, inputs=free - parameters, parameters=parameters, tags=tags)
