"""What a file is, by its first bytes, where that is not what its name says."""

from __future__ import annotations

import json
import re

from ilf_kedro.schemas import show_value
from ilf_kedro.tasks.reading.options import Kind

__all__ = ["other_kind"]

_NAMES: dict[Kind, str] = {
    "jsonl": "one JSON object on each line",
    "json": "a JSON list of objects",
    "csv": "CSV text with a line of column names",
    "parquet": "Parquet",
    "arrow": "Arrow IPC (Feather)",
}

_EXPORT = "; export it as CSV, JSON lines or Parquet"
_UNPACK = "; unpack it, or compress it with gzip as .gz"

# First bytes, what they are of, the kind (where it is one that can be read), and what to do (else).
_SIGNATURES: tuple[tuple[bytes, str, Kind | None, str], ...] = (
    (b"PAR1", "Parquet", "parquet", ""),
    (b"ARROW1", "Arrow IPC (Feather)", "arrow", ""),
    (b"\xff\xff\xff\xff", "an Arrow stream", "arrow", ""),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", None, _EXPORT),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", None, _EXPORT),
    (b"SQLite format 3\0", "an SQLite database", None, _EXPORT),
    (b"%PDF", "a PDF document", None, _EXPORT),
    (b"\x1f\x8b", "gzip data", None, "; end the name in .gz"),
    (b"BZh", "bzip2 data", None, _UNPACK),
    (b"\xfd7zXZ\0", "xz data", None, _UNPACK),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", None, _UNPACK),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", None, "; run `git lfs pull`"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype\s+)?html", re.IGNORECASE)
_FIRST_BYTES = 4096


def other_kind(content: bytes, kind: Kind) -> tuple[str, str] | None:
    """Return what the content is and what was expected, with the remedy; None where it may be of the kind.

    `content` is unpacked, and UTF-8 where it is text.
    """
    for signature, name, found, remedy in _SIGNATURES:
        if content.startswith(signature) and found != kind:
            return name, _expected(kind, found, remedy)
    if _WEB_PAGE.match(content[:_FIRST_BYTES]):
        return "a web page", _expected(kind, None, "; download the file itself, not the page about it")
    if kind in ("parquet", "arrow"):
        known = any(content.startswith(signature) for signature, _, found, _ in _SIGNATURES if found == kind)
        return None if known else (f"bytes that are none: {content[:8]!r}", _expected(kind, None, ""))
    return _other_text(content.removeprefix(b"\xef\xbb\xbf").lstrip(), kind)


def _other_text(content: bytes, kind: Kind) -> tuple[str, str] | None:
    is_list = re.match(rb"\[\s*(\{|\]|$)", content[:_FIRST_BYTES]) is not None
    if is_list and kind != "json":
        return "a JSON list", _expected(kind, "json", "")
    begins_object = content.startswith(b"{")
    if begins_object and kind == "json":
        if _is_object(content.partition(b"\n")[0]):
            return "JSON objects on lines of their own", _expected(kind, "jsonl", "")
        return "one JSON object", _expected(kind, None, "; name the list in it alone, or write one object on each line")
    if begins_object and kind == "csv" and _is_object(content.partition(b"\n")[0]):
        return "JSON objects on lines of their own", _expected(kind, "jsonl", "")
    if content and kind == "jsonl" and not re.search(rb"^\s*\{", content, re.MULTILINE):
        begin = show_value(content[:40].decode("utf-8", "replace").split("\n")[0])
        return f"text that begins with {begin}", _expected(kind, None, "; if it is CSV, name it .csv")
    return None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _expected(kind: Kind, found: Kind | None, remedy: str) -> str:
    if found is not None:
        remedy = f"; name it .{found}, or say kind: {found} in the catalog entry"
    return f"{_NAMES[kind]}, as its name or `kind` says{remedy}"
