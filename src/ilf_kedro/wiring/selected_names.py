"""Names that a command chooses its pipelines, nodes and data sets by, and that do not exist."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline

from ilf_kedro.schemas.suggestions import suggest

__all__ = ["find_unknown_names"]

_MANY = 20  # names beyond which the command that lists them is named instead


def find_unknown_names(chosen: Mapping[str, object]) -> list[str]:
    """Return a line for each unknown name, with the nearest right one, or what exists.

    `chosen` has the arguments of `kedro run`, or of `KedroSession.run`, by their names.
    """
    names = _texts(chosen.get("pipelines") or chosen.get("pipeline_names") or chosen.get("pipeline"))
    if unknown := [name for name in names if name not in pipelines]:
        return [f"--pipelines: there is no pipeline {name!r}; {suggest(name, list(pipelines))}" for name in unknown]
    pipeline = sum((pipelines[name] for name in names or ["__default__"]), Pipeline([]))
    shown = ",".join(names or ["__default__"])
    lines = []
    for argument, (option, kind, known_of) in _CHOICES.items():
        known = known_of(pipeline)
        lines += [
            f"{option}: there is no {kind} {name!r} in the pipeline {shown}; {_advise(name, known, known_of)}"
            for name in _texts(chosen.get(argument))
            if name not in known
        ]
    return lines


def _advise(name: str, known: Collection[str], known_of: Callable[[Pipeline], set[str]]) -> str:
    """Name the pipeline that has it, the nearest name, or the names that there are."""
    if owner := next((key for key, each in pipelines.items() if name in known_of(each)), None):
        return f"it is in the pipeline {owner}: add --pipelines {owner}"
    return suggest(name, known, at_most=_MANY, otherwise="`kedro registry describe` lists the nodes of a pipeline")


def _texts(names: object) -> list[str]:
    if isinstance(names, str):
        return [names]
    return [str(name) for name in names] if isinstance(names, Iterable) else []


def _node_names(pipeline: Pipeline) -> set[str]:
    return {node.name for node in pipeline.nodes}


def _tags(pipeline: Pipeline) -> set[str]:
    return {tag for node in pipeline.nodes for tag in node.tags}


def _namespaces(pipeline: Pipeline) -> set[str]:
    """Return every namespace, those around others too."""
    parts = [node.namespace.split(".") for node in pipeline.nodes if node.namespace]
    return {".".join(each[:length]) for each in parts for length in range(1, len(each) + 1)}


_CHOICES: dict[str, tuple[str, str, Callable[[Pipeline], set[str]]]] = {
    "node_names": ("--nodes", "node", _node_names),
    "from_nodes": ("--from-nodes", "node", _node_names),
    "to_nodes": ("--to-nodes", "node", _node_names),
    "tags": ("--tags", "tag", _tags),
    "namespaces": ("--namespaces", "namespace", _namespaces),
    "from_inputs": ("--from-inputs", "data set", Pipeline.datasets),
    "to_outputs": ("--to-outputs", "data set", Pipeline.datasets),
}
