"""Turns what a catalog entry or a file says into options, with errors a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from kedro.io.core import DatasetError
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

OptionsT = TypeVar("OptionsT", bound=BaseModel)


def parse_options(
    model: type[OptionsT], values: Mapping[str, Any], *, where: str, also: Iterable[str] = ()
) -> OptionsT:
    """Build `model` from `values`, every fault reported at once, values that the model hides left out.

    `also` are further top-level keys that a mistyped one may have meant.

    Raises:
        DatasetError: naming `where`, each wrong key with the nearest right one, and each wrong value.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = [_fault(model, fault, list(also)) for fault in error.errors()]
        raise DatasetError(f"{where}:\n" + "\n".join(f"  - {fault}" for fault in faults)) from None


def nearest(key: str, known: Iterable[str]) -> str:
    """Return a hint: the known key most like `key`, else all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _fault(model: type[BaseModel], fault: ErrorDetails, also: list[str]) -> str:
    location, found = fault["loc"], fault["input"]
    name = ".".join(str(part) for part in location)
    if fault["type"] == "extra_forbidden":
        known = _fields(model, location[:-1]) + (also if len(location) == 1 else [])
        return f"unknown key {name!r}; {nearest(str(location[-1]), known)}"
    if fault["type"] == "missing":
        return f"the key {name!r} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    if not location:
        return message
    shown = isinstance(found, str | int | float) and not model.model_config.get("hide_input_in_errors")
    return f"{name}: found {found!r}; {message}" if shown else f"{name}: {message}"


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the model at `location` inside `model` has."""
    for part in location:
        field = model.model_fields.get(str(part))
        nested = (
            next((each for each in _types(field.annotation) if issubclass(each, BaseModel)), None) if field else None
        )
        if nested is None:
            break
        model = nested
    return list(model.model_fields)


def _types(annotation: Any) -> list[type]:
    found = [annotation] if isinstance(annotation, type) else []
    return found + [each for argument in get_args(annotation) for each in _types(argument)]
