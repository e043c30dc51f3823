"""Examples and comparisons of a task as plain values, before splits and tables are made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ilf_kedro.tasks.options import Task

__all__ = ["Comparison", "Example", "Preference", "Subject", "hash_of_inputs", "input_id"]


@dataclass(frozen=True, slots=True)
class Preference:
    """Two outputs; `preferred` is the place, a or b, of the chosen one where both are shown."""

    chosen: str
    rejected: str
    preferred: Literal["a", "b"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a row is about: its inputs by name (messages as a JSON list), who wrote it, and where it stands."""

    example_id: str
    input_id: str
    inputs: Mapping[str, str | None]
    annotator: str | None
    group: str | None
    file: str
    number: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two outputs for one input, and which was preferred."""

    subject: Subject
    preference: Preference


@dataclass(frozen=True, slots=True)
class Example:
    """One example, and what the data have for it; `other` has the kept columns."""

    subject: Subject
    initial_output: str | None
    feedback: str | None
    reference: str | None
    other: Mapping[str, object]


def input_id(task: Task, inputs: Mapping[str, str | None]) -> str:
    """Return the name of an input: a hash of what identifies it, whatever its case and white space."""
    folded = [" ".join((inputs.get(name) or "").split()).casefold() for name in task.identifying_inputs]
    return _hash(folded)


def hash_of_inputs(inputs: Mapping[str, str | None]) -> str:
    """Return a hash of all inputs as they are, for rows without an identifier of their own."""
    return _hash(sorted(inputs.items()))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()[:16]
