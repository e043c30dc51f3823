"""The scorers by name: each is registered where it is defined, and found by itself among the files of this package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from ilf_kedro.language_models.protocol import Capability

__all__ = ["Scorer", "scorer", "scorers"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_registered: dict[str, Scorer] = {}


@dataclass(frozen=True, slots=True)
class Scorer:
    """What runs under a name, and the scores that it gives.

    `function` takes the refinements, the examples where it has a parameter of that name, and then what `takes`
    names: data sets of the catalog, of which the first is the model where it `asks` one. In a pipeline every
    example must have the texts that it `needs`.
    """

    name: str
    function: Callable[..., Any]
    scores: tuple[str, ...]
    takes: tuple[str, ...] = ()
    asks: Capability | None = None
    needs: tuple[str, ...] = ()

    @property
    def on_examples(self) -> bool:
        """Whether the function reads the examples too."""
        return "examples" in signature(self.function).parameters

    @property
    def reads_feedback(self) -> bool:
        """Whether a score depends on the person's feedback, so that it may not choose for a control."""
        return "feedback" in self.needs


def scorer(
    name: str,
    *,
    scores: tuple[str, ...] | None = None,
    takes: tuple[str, ...] = (),
    asks: Capability | None = None,
    needs: tuple[str, ...] = (),
) -> Callable[[_Function], _Function]:
    """Register a function as the scorer `name`; see Scorer. Without `scores` it gives one, of its own name.

    Raises:
        ValueError: another scorer has the name.
    """

    def register(function: _Function) -> _Function:
        if name in _registered:
            raise ValueError(f"two scorers are called {name!r}: {_registered[name].function} and {function}")
        given = (name,) if scores is None else scores
        _registered[name] = Scorer(name, function, given, takes, asks, needs)
        return function

    return register


@cache
def _found() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)], f"{__package__}."):
        importlib.import_module(module.name)


def scorers() -> Mapping[str, Scorer]:
    """Return every registered scorer by its name, in the order of the names."""
    _found()
    return dict(sorted(_registered.items()))
