"""What a data set held, as one hash: so that two runs' records tell whether they worked on the same."""

from __future__ import annotations

import hashlib
import json

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import RawRows

__all__ = ["content_hash"]


def content_hash(data: object) -> str | None:
    """Return the SHA-256 of a raw file's bytes, a prompt, a checkpoint or a table; None for anything else."""
    match data:
        case PromptTemplate() | RawRows():
            return data.content_hash
        case Checkpoint():
            return data.record.content_hash
        case pd.DataFrame():
            return _hash_table(data)
        case _:
            return None


def _hash_table(table: pd.DataFrame) -> str:
    """Hash column names and values in their order, whatever file format and version keeps them."""
    columns = json.dumps([str(column) for column in table.columns])
    rows = pd.util.hash_pandas_object(table, index=False)
    return hashlib.sha256(columns.encode() + rows.to_numpy("<u8").tobytes()).hexdigest()
