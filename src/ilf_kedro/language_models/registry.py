"""The backends by name: each is registered where it is defined, and found by itself.

A backend is one module of this package, or a folder here with a module `entry`. A user's own needs neither: a
catalog entry may name its class by its dotted path.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from ilf_kedro.language_models.entries import ModelEntry
from ilf_kedro.schemas import UserError
from ilf_kedro.schemas.suggestions import suggest

__all__ = ["backend", "backends", "find_backend"]

_EntryClass = TypeVar("_EntryClass", bound=type[ModelEntry])
_registered: dict[str, type[ModelEntry]] = {}


def backend(name: str) -> Callable[[_EntryClass], _EntryClass]:
    """Register an entry's class as the backend `name` of the catalog.

    Raises:
        ValueError: another class has the name.
    """

    def register(entry: _EntryClass) -> _EntryClass:
        if name in _registered:
            raise ValueError(f"two backends are called {name!r}: {_registered[name]} and {entry}")
        _registered[name] = entry
        return entry

    return register


@cache
def backends() -> dict[str, type[ModelEntry]]:
    """Return the class of every backend's entry by name. No weights and no client are imported for it."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)], f"{__package__}."):
        name = f"{module.name}.entry" if module.ispkg else module.name
        if find_spec(name) is not None:
            importlib.import_module(name)
    return dict(sorted(_registered.items()))


def find_backend(name: str) -> type[ModelEntry]:
    """Return the entry's class of a backend's name, or of a dotted path to a class of the user's own.

    Raises:
        UserError: there is none, naming the nearest, or what the path leads to instead.
    """
    if "." not in name:
        try:
            return backends()[name]
        except KeyError:
            raise UserError(
                f"there is no backend {name!r}; {suggest(name, backends())}. A class of your own is named by its "
                "dotted path, such as my_package.my_model.MyEntry"
            ) from None
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"the backend {name!r} cannot be imported ({error}); its module must be installed, or lie on PYTHONPATH"
        ) from None
    if not (isinstance(found, type) and issubclass(found, ModelEntry)):
        raise UserError(f"the backend {name!r} is {found!r}, which is no subclass of {ModelEntry.__qualname__}")
    return found
