"""Encoded examples in a file, for the processes of one training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from ilf_kedro.training.encoding import EncodedExample, EncodedPair

_KINDS = {kind.__name__: kind for kind in (EncodedExample, EncodedPair)}


def write_encoded(examples: Sequence[EncodedExample] | Sequence[EncodedPair], file: Path) -> None:
    """Write examples of one kind as columns: arrays one after the other, with their lengths beside them."""
    columns: dict[str, Any] = {}
    for field in fields(examples[0]):
        values = [getattr(example, field.name) for example in examples]
        if isinstance(values[0], np.ndarray):
            columns[f"{field.name}.lengths"] = np.array([len(value) for value in values])
            columns[field.name] = np.concatenate(values)
        else:
            columns[field.name] = np.array(values)
    save_file(columns, file, metadata={"kind": type(examples[0]).__name__})


def read_encoded(file: Path) -> list[EncodedExample] | list[EncodedPair]:
    """Return what write_encoded wrote."""
    with safe_open(file, framework="numpy") as stored:
        kind: Any = _KINDS[stored.metadata()["kind"]]
        names = set(stored.keys())
        columns: list[Sequence[Any]] = []
        for field in fields(kind):
            column = stored.get_tensor(field.name)
            if f"{field.name}.lengths" in names:
                columns.append(np.split(column, np.cumsum(stored.get_tensor(f"{field.name}.lengths"))[:-1]))
            else:
                columns.append(column.tolist())
    return [kind(*values) for values in zip(*columns, strict=True)]
