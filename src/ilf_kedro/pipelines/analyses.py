"""The analyses by name: each is registered where it is defined, and found by itself among the folders here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.finetune.arms import RefinementSource
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.tasks import Task

__all__ = ["Analysis", "MainJob", "analyses", "analysis"]

_Function = TypeVar("_Function", bound=Callable[..., Pipeline | None])
_registered: dict[str, Analysis] = {}


@dataclass(frozen=True, slots=True)
class MainJob:
    """What an analysis may build on: the main job's arms and train sizes, where its refinements come from, its task."""

    arms: Sequence[Arm]
    train_sizes: Sequence[int]
    source: RefinementSource
    task: Task


@dataclass(frozen=True, slots=True)
class Analysis:
    """A pipeline that answers a question of its own, called as its folder is.

    `create` makes it from its options and the main job, or returns None where the data lack what it needs.
    `options` is the dotted name of its parameters; empty where it has none. One with `section` ends in
    `section.<name>`, a part of the report of everything, where analyses stand in the order of `place`.
    """

    name: str
    place: int
    create: Callable[[Any, MainJob], Pipeline | None]
    options: str
    section: bool


def analysis(*, place: int, options: str | None = None, section: bool = True) -> Callable[[_Function], _Function]:
    """Register the decorated function as `create` of the analysis that its folder is; see Analysis.

    Its parameters are those of the folder's name, unless `options` says otherwise.
    """

    def register(function: _Function) -> _Function:
        name = function.__module__.rsplit(".", 1)[-1]
        _registered[name] = Analysis(name, place, function, name if options is None else options, section)
        return function

    return register


@cache
def _found() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)], f"{__package__}."):
        if module.ispkg:
            importlib.import_module(module.name)


def analyses() -> Mapping[str, Analysis]:
    """Return every registered analysis by its name, in the order of their places."""
    _found()
    return {each.name: each for each in sorted(_registered.values(), key=lambda each: (each.place, each.name))}
