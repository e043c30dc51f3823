"""Turns what a catalog entry or a file says into options, with errors a user can act on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ilf_kedro.schemas.base import UserError
from ilf_kedro.schemas.redaction import redact, show_masked
from ilf_kedro.schemas.suggestions import suggest

__all__ = ["OptionsError", "options_at", "parse_options"]

OptionsT = TypeVar("OptionsT", bound=BaseModel)


class OptionsError(UserError):
    """Keys or values that are no options; the message lists all of them."""


def parse_options(
    model: type[OptionsT], values: Mapping[str, Any], *, where: str, also: Iterable[str] = ()
) -> OptionsT:
    """Build `model` from `values`, every fault reported at once, values that the model hides left out.

    `also` are further top-level keys that a mistyped one may have meant.

    Raises:
        OptionsError: naming `where`, each wrong key with the nearest right one, and each wrong value.
    """
    if not isinstance(values, Mapping):
        found, known = type(values).__name__, ", ".join(model.model_fields)
        raise OptionsError(f"{where}: found a {found}, expected keys with values below it, of {known}")
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = [_fault(model, fault, list(also)) for fault in error.errors()]
        raise OptionsError(f"{where}:\n" + "\n".join(f"  - {fault}" for fault in faults)) from None


def options_at(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Return the options class that the field `key` holds; None where there is no such field, or it holds none."""
    field = model.model_fields.get(key)
    return next((each for each in _types(field.annotation) if issubclass(each, BaseModel)), None) if field else None


def _fault(model: type[BaseModel], fault: ErrorDetails, also: list[str]) -> str:
    location, found = fault["loc"], fault["input"]
    name = redact(".".join(str(part) for part in location))
    is_secret = bool(model.model_config.get("hide_input_in_errors"))
    if fault["type"] == "extra_forbidden":
        known = _fields(model, location[:-1]) + (also if len(location) == 1 else [])
        hint = suggest(str(location[-1]), known)
        is_pasted = is_secret and not str(location[-1]).replace("_", "").isalpha()  # a key in place of its name
        return f"unknown key {'(not shown: it may be a secret)' if is_pasted else repr(name)}; {hint}"
    if fault["type"] == "missing":
        return f"the key {name!r} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    if not location:
        return message
    shown = isinstance(found, str | int | float) and not is_secret
    return f"{name}: found {show_masked(name, found)}; {message}" if shown else f"{name}: {message}"


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the model at `location` inside `model` has."""
    for part in location:
        nested = options_at(model, str(part))
        if nested is None:
            break
        model = nested
    return list(model.model_fields)


def _types(annotation: Any) -> list[type]:
    found = [annotation] if isinstance(annotation, type) else []
    return found + [each for argument in get_args(annotation) for each in _types(argument)]
