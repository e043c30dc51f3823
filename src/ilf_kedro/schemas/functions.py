"""Functions that a parameter or a catalog entry names: package.module:function or path/to/file.py:function."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ilf_kedro.schemas.base import UserError

__all__ = ["find_function"]


def find_function(name: str, *, where: str, expected: str = "") -> Callable[..., Any]:
    """Return the function of this name; importing its module may run any code in it.

    `where` names the key in messages, `expected` what else it may hold.

    Raises:
        UserError: there is no such function, with the reason.
    """
    place, _, function = name.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(f"ilf_kedro_user_{abs(hash(place))}", Path(place))
            if spec is None or spec.loader is None:
                raise ImportError(f"{place} is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        found = getattr(module, function)
    except Exception as error:  # noqa: BLE001  # importing the user's file may raise anything, which the message says
        raise UserError(
            f"{where}: {name!r} cannot be used ({type(error).__name__}: {error}); expected {expected}"
            "package.module:function or path/to/file.py:function"
        ) from None
    if not callable(found):
        raise UserError(f"{where}: {name!r} is a {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]
