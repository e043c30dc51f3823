"""The check of all catalog entries before anything runs: every fault at once, with the nearest right key.

Kedro itself looks at an entry only when a node asks for it, and says of an unknown key that Python refuses it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import parse_dataset_definition

from ilf_kedro.schemas.suggestions import suggest
from ilf_kedro.schemas.wording import counted
from ilf_kedro.wiring.config_loader import ConfigurationError, LayeredConfigLoader

__all__ = ["CatalogError", "check_catalog", "check_place"]

# Keys of every entry: Kedro takes them out before it makes the data set.
_KEDROS_KEYS = ("type", "validator", "versioned")
_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# Kedro looks for versions of a file by patterns, and fills braces in.
_WILDCARDS = frozenset("[]*?")
_BRACES = frozenset("{}")


class CatalogError(ConfigurationError):
    """Catalog entries are wrong: the message lists each fault."""


def check_catalog(loader: LayeredConfigLoader) -> None:
    """Check the type and the keys of every entry; nothing is made or read.

    Raises:
        ConfigurationError: a file cannot be read.
        CatalogError: naming each entry that is no mapping, has no known type, or lacks or does not know a key.
    """
    try:
        catalog = loader["catalog"]
    except MissingConfigException:
        return
    lines = []
    for name, entry in catalog.items():
        for key, fault in _find_faults(entry):
            origin = loader.find_origin("catalog", (name, key) if key else (name,))
            lines.append(f"  {name}{f' ({origin})' if origin else ''}: {fault}")
    if lines:
        raise CatalogError("\n".join([f"{counted(len(lines), 'fault')} in the catalog; nothing was run.", *lines]))


def check_place(project: Path) -> None:
    """Refuse a project in a folder whose name Kedro takes for a pattern: it would find none of its own data.

    Raises:
        CatalogError: naming the folder and the characters.
    """
    for part in project.parts:
        if found := sorted((_WILDCARDS | _BRACES) & set(part)):
            raise CatalogError(
                f"the project lies in a folder called {part!r}, where Kedro takes {' '.join(found)} for parts of a "
                "pattern and so finds no data; move it to a folder without them"
            )


def _find_faults(entry: object) -> Iterator[tuple[str, str]]:
    """Yield each wrong key of an entry (empty for the whole), and what is wrong."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        yield "", "expected keys with values, and among them `type`, the class of the data set"
        return
    found = _find_class(entry["type"])
    if isinstance(found, str):
        yield "type", found
        return
    parameters = list(inspect.signature(found.__init__).parameters.values())[1:]
    known = {each.name: each.default for each in parameters if each.name != "version" and each.kind not in _STARRED}
    if not any(each.kind is each.VAR_KEYWORD for each in parameters):
        for key in sorted(set(map(str, entry)) - {*known, *_KEDROS_KEYS}):
            yield key, f"unknown key {key!r}; {suggest(key, [*known, *_KEDROS_KEYS])}"
    if wild := sorted(_WILDCARDS & set(str(entry.get("filepath", "")))):
        yield "filepath", f"found {entry['filepath']!r}, where Kedro takes {' '.join(wild)} for parts of a pattern"
    for key, default in known.items():
        if default is inspect.Parameter.empty and key not in entry:
            yield "", f"the key {key!r} is missing"


@cache
def _find_class(name: str) -> type[AbstractDataset[Any, Any]] | str:
    """Return the class that a type names, or why there is none."""
    try:
        found, _ = parse_dataset_definition({"type": name})
    except (DatasetError, TypeError) as error:
        reason = str(error).split("\nHint")[0]
        return (
            f"found the type {name!r}, expected a data set's class such as ilf_kedro.datasets.TableDataset ({reason})"
        )
    return found
