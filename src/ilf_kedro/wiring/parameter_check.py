"""The check of all parameters before anything runs: every fault at once, with the nearest right key.

Kedro itself checks only the keys that a node names, so that a mistyped key would pass in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from kedro.config import MissingConfigException
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ilf_kedro.schemas import Options
from ilf_kedro.schemas.redaction import show_masked
from ilf_kedro.schemas.wording import counted
from ilf_kedro.wiring.config_loader import ConfigurationError, LayeredConfigLoader
from ilf_kedro.wiring.parameters import Parameters

__all__ = ["ParameterError", "ParameterFault", "check_parameters", "find_faults", "known_keys", "nearest_key"]

_A_LETTER = 0.85  # difflib's similarity of words that differ by about a letter
# What pydantic says in Python's words.
_PLAIN = {
    "model_type": "keys with values below it",
    "dict_type": "keys with values below it",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "none_required": "null",
    "invalid_key": "a key that is text",
}


class ParameterError(ConfigurationError):
    """Parameters are wrong: the message lists each fault."""


@dataclass(frozen=True, slots=True)
class ParameterFault:
    """One wrong parameter: its path (empty for the whole), and what was found and expected there."""

    path: tuple[str | int, ...]
    message: str

    @property
    def key(self) -> str:
        """The dotted key, such as finetune.per_size[0].epochs."""
        return _dotted(self.path)


def check_parameters(loader: LayeredConfigLoader) -> Parameters:
    """Return the parameters of the chosen environment, `--params` included.

    Raises:
        ConfigurationError: a file cannot be read.
        ParameterError: a key is unknown, missing or has a wrong value.
    """
    try:
        raw = loader["parameters"]
    except MissingConfigException:
        raw = dict(loader.runtime_params)
    faults = find_faults(raw)
    if faults:
        layers = " < ".join(f"conf/{layer}" for layer in loader.layers)
        lines = [f"{counted(len(faults), 'invalid parameter')} ({layers} < --params); nothing was run."]
        for fault in faults:
            origin = loader.find_origin("parameters", fault.path)
            lines.append(f"  {fault.key or 'parameters'}{f' ({origin})' if origin else ''}: {fault.message}")
        raise ParameterError("\n".join(lines))
    return Parameters.model_validate(raw)


def find_faults(raw: Mapping[str, Any]) -> list[ParameterFault]:
    """Return every fault of the given parameters, in their order; none where they are right."""
    try:
        Parameters.model_validate(raw)
    except ValidationError as error:
        found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
        for details in error.errors(include_url=False):
            found.setdefault(_real_path(raw, details), []).append(details)
        return [ParameterFault(path, _describe(path, details)) for path, details in found.items()]
    return []


def known_keys(model: type[Options] = Parameters) -> tuple[str, ...]:
    """Return the dotted key of every parameter at any depth, without list positions."""
    return tuple(_walk(model, ""))


def nearest_key(key: str, known: Sequence[str]) -> str:
    """Return the known key that a wrong one most likely meant.

    A neighbour that differs by a letter comes first (finetune.arms for finetune.arm), then the same name
    elsewhere (finetune.training.epochs for finetune.epochs), then a neighbour spelled alike
    (refinement.n_refinements for refinement.refinements), then the most similar key of all.
    """
    parent, _, name = key.rpartition(".")
    siblings = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == parent}
    as_long = [other for other in siblings if abs(len(other) - len(name)) <= 1]
    if near := difflib.get_close_matches(name, as_long, n=1, cutoff=_A_LETTER):
        return siblings[near[0]]
    if same_name := [other for other in known if other.rpartition(".")[2] == name]:
        return difflib.get_close_matches(key, same_name, n=1, cutoff=0.0)[0]
    if alike := difflib.get_close_matches(name, siblings, n=1):
        return siblings[alike[0]]
    return difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]


def _walk(annotation: Any, prefix: str) -> Iterator[str]:
    """Yield the keys of every options model that an annotation names, such as tuple[Override, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, Options):
        for name, field in annotation.model_fields.items():
            yield f"{prefix}{name}"
            yield from _walk(field.annotation, f"{prefix}{name}.")
        return
    for inner in get_args(annotation):
        yield from _walk(inner, prefix)


def _real_path(raw: Mapping[str, Any], details: ErrorDetails) -> tuple[str | int, ...]:
    """Return the part of an error's location that stands in the parameters.

    Pydantic adds the tried members of a union to it.
    """
    path: list[str | int] = []
    value: object = raw
    for step in details["loc"]:
        if isinstance(value, dict) and (step in value or details["type"] == "missing"):
            value = value.get(step)
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            break
        path.append(step)
    return tuple(path)


def _describe(path: tuple[str | int, ...], details: Sequence[ErrorDetails]) -> str:
    """Say what was found and what was expected."""
    first = details[0]
    if first["type"] == "missing":
        return "missing; give it a value"
    found = show_masked(next((step for step in reversed(path) if isinstance(step, str)), ""), first["input"])
    if first["type"] == "extra_forbidden":
        key = ".".join(step for step in path if isinstance(step, str))
        return f"unknown key (found {found}); the nearest right one is {nearest_key(key, known_keys())}"
    expected = " or ".join(dict.fromkeys(_expectation(each) for each in details))
    return expected if first["type"] == "value_error" else f"found {found}, expected {expected}"


def _expectation(details: ErrorDetails) -> str:
    if (plain := _PLAIN.get(details["type"])) is not None:
        return plain
    return details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")


def _dotted(path: Sequence[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
