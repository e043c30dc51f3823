"""Rows out of a file of any kind, or a folder of them, on any file system that fsspec knows."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from ilf_kedro.schemas import Fault, RawRow, RawRows, UserError
from ilf_kedro.tasks.reading.columnar import arrow_rows, parquet_rows
from ilf_kedro.tasks.reading.csv_rows import csv_rows
from ilf_kedro.tasks.reading.json_rows import json_lines_rows, json_list_rows
from ilf_kedro.tasks.reading.options import KINDS, SUFFIXES, Kind, ReadOptions, kind_of_name
from ilf_kedro.tasks.reading.signatures import other_kind

__all__ = ["read_bytes", "read_rows"]

_NO_DATA = (".md", ".txt", ".crc", ".lock", ".yml", ".yaml", ".py")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

Read = tuple[list[RawRow], list[Fault]]


def read_rows(
    path: str | Path, options: ReadOptions | None = None, *, storage_options: Mapping[str, Any] | None = None
) -> RawRows:
    """Read the rows of a file, or of all data files of a folder in the order of their names.

    The kind is what the name says (.jsonl, .json, .csv, .tsv, .parquet, .arrow, each also with .gz), or the options.
    What cannot be read is a fault in the result; a file of another kind than its name says is named as what it is.

    Raises:
        UserError: there is no such file, or it cannot be reached; or the folder has no data files.
    """
    options = options or ReadOptions()
    try:
        filesystem, root = fsspec.core.url_to_fs(str(path), **(storage_options or {}))
        if not filesystem.isdir(root):
            return read_bytes(_shown(str(path)), filesystem.cat_file(root), options)
        names = sorted(filesystem.find(root))
    except FileNotFoundError:
        raise UserError(
            f"there is no file {_shown(str(path))}; put it there, or name another in the catalog entry"
        ) from None
    except (OSError, ImportError, ValueError) as error:
        raise UserError(
            f"{_shown(str(path))} cannot be read ({type(error).__name__}: {error}); correct the path or the "
            "credentials in the catalog entry"
        ) from None
    files = [name for name in names if _is_data(name[len(root) :])]
    if not files:
        found = ", ".join(PurePosixPath(name).name for name in names[:5]) or "nothing"
        raise UserError(f"the folder {_shown(str(path))} has no data files: found {found}; expected {_kinds()}")
    parts = [
        read_bytes(
            f"{_shown(str(path)).rstrip('/')}{name[len(root.rstrip('/')) :]}", filesystem.cat_file(name), options
        )
        for name in files
    ]
    together = hashlib.sha256("".join(str(part.content_hash) for part in parts).encode()).hexdigest()
    rows = tuple(row for part in parts for row in part.rows)
    return RawRows(_shown(str(path)), rows, tuple(fault for part in parts for fault in part.faults), together)


def read_bytes(file: str, content: bytes, options: ReadOptions | None = None) -> RawRows:
    """Read the rows of a file's bytes; its name says the kind where the options do not."""
    options = options or ReadOptions()
    content_hash = hashlib.sha256(content).hexdigest()
    rows, faults = _read(file, content, options)
    if not rows and not faults:
        faults = [Fault(file, 0, None, "an empty file", "at least one row")]
    return RawRows(file, tuple(rows), tuple(faults), content_hash)


def _read(file: str, content: bytes, options: ReadOptions) -> Read:
    kind = options.kind or kind_of_name(file)
    if kind is None:
        expected = f"a name that ends in {_kinds()}; or say which it is with kind: {' | '.join(KINDS)}"
        return [], [Fault(file, 0, None, "a name that says no kind of data", expected)]
    if file.lower().endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            found = f"no whole gzip data ({error})"
            return [], [Fault(file, 0, None, found, "gzip data, as .gz says; name it as what it is, or copy it again")]
    if kind in ("parquet", "arrow"):
        if other := other_kind(content, kind):
            return [], [Fault(file, 0, None, *other)]
        return parquet_rows(file, content) if kind == "parquet" else arrow_rows(file, content)
    return _read_text(file, content, kind, options)


def _read_text(file: str, content: bytes, kind: Kind, options: ReadOptions) -> Read:
    if options.encoding == "utf-8":
        if content.startswith(_UTF16):
            expected = "UTF-8 text; name the encoding: `encoding: utf-16` in the catalog entry"
            return [], [Fault(file, 0, None, "UTF-16 text", expected)]
        text = content.decode("utf-8", "surrogateescape")
    else:
        try:
            text = content.decode(options.encoding)
        except UnicodeDecodeError as error:
            number = content[: error.start].count(b"\n") + 1
            found = f"the byte 0x{content[error.start]:02x}, which is not {options.encoding}"
            return [], [Fault(file, number, None, found, "text in the encoding that the catalog entry names")]
    text = text.removeprefix("\ufeff")
    if other := other_kind(text.encode("utf-8", "surrogateescape"), kind):
        return [], [Fault(file, 0, None, *other)]
    if kind == "csv":
        return csv_rows(file, text, options)
    return json_lines_rows(file, text) if kind == "jsonl" else json_list_rows(file, text)


def _is_data(path: str) -> bool:
    """Tell whether a file of a folder holds data; hidden ones and documents do not, all others must."""
    parts = PurePosixPath(path.lstrip("/")).parts
    hidden = any(part.startswith((".", "_")) for part in parts)
    return not hidden and not parts[-1].lower().endswith(_NO_DATA) and "." in parts[-1]


def _kinds() -> str:
    return f"{', '.join(SUFFIXES)} (each also with .gz)"


def _shown(path: str) -> str:
    """Shorten a path inside the working directory to its relative form, for messages."""
    local = Path(path)
    return str(local.relative_to(Path.cwd())) if local.is_relative_to(Path.cwd()) else path
