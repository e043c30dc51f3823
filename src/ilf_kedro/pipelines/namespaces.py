"""Namespaces: what is made in one carries its name, what it reads from elsewhere keeps its own.

Their nodes share functions; what distinguishes one node from another is bound to its function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any

from kedro.pipeline import Node, Pipeline

__all__ = ["bind", "namespaced"]


class _Bound(partial[Any]):
    """A partial that keeps its name in other processes: multiprocessing sends any plain one without."""


def bind(function: Callable[..., Any], **constants: object) -> Callable[..., Any]:
    """Bind what distinguishes one namespace's node from another's, keeping the function's name."""
    return update_wrapper(_Bound(function, **constants), getattr(function, "func", function))


def namespaced(name: str, members: Sequence[Node | Pipeline], *, tags: str) -> Pipeline:
    """Put the nodes into the namespace `name`, and the data sets that they make with them."""
    pipeline = Pipeline(list(members))
    free = pipeline.inputs()
    parameters = {each for each in free if each.startswith("params:")}
    return Pipeline(pipeline, namespace=name, inputs=free - parameters, parameters=parameters, tags=tags)
