"""Rows out of Parquet and Arrow, nested and typed as they are: dates become ISO 8601 text, NaN null."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from ilf_kedro.schemas import Fault, RawRow, plain_value

__all__ = ["arrow_rows", "parquet_rows"]


def parquet_rows(file: str, content: bytes) -> tuple[list[RawRow], list[Fault]]:
    """Read a Parquet file; rows count from 1."""
    try:
        return _rows(file, pq.read_table(io.BytesIO(content)))
    except (pa.ArrowException, OSError) as error:
        return [], [_broken(file, "Parquet", error)]


def arrow_rows(file: str, content: bytes) -> tuple[list[RawRow], list[Fault]]:
    """Read an Arrow IPC file (Feather), or a stream as `datasets` writes it; rows count from 1."""
    try:
        is_file = content.startswith(b"ARROW1")
        reader = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(pa.BufferReader(content))
        return _rows(file, reader.read_all())
    except (pa.ArrowException, OSError) as error:
        return [], [_broken(file, "Arrow", error)]


def _rows(file: str, table: pa.Table) -> tuple[list[RawRow], list[Fault]]:
    if repeated := sorted({name for name in table.column_names if table.column_names.count(name) > 1}):
        return [], [Fault(file, 0, name, "a column name that stands twice", "names that differ") for name in repeated]
    records = enumerate(table.to_pylist(), start=1)
    return [RawRow(file, n, {name: plain_value(cell) for name, cell in each.items()}) for n, each in records], []


def _broken(file: str, kind: str, error: Exception) -> Fault:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return Fault(file, 0, None, f"broken {kind} ({reason})", f"a whole {kind} file; write or download it again")
