"""How a file is read: what kind it is, and what its name does not say."""

from __future__ import annotations

import codecs
from pathlib import PurePosixPath
from typing import Literal, get_args

from pydantic import Field, field_validator

from ilf_kedro.schemas import Options

__all__ = ["Kind", "ReadOptions", "kind_of_name"]

Kind = Literal["jsonl", "json", "csv", "parquet", "arrow"]

_SUFFIXES: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}


class ReadOptions(Options):
    """What a file's name does not say; the defaults are what files mostly are.

    `kind` is jsonl (one JSON object on each line), json (a list of objects), csv, parquet or arrow; null takes it
    from the name. `separator` is a comma, and a tab in .tsv; `quote` surrounds cells; `encoding` is of text files.
    """

    kind: Kind | None = None
    separator: str | None = Field(default=None, min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    encoding: str = "utf-8"

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, name: str) -> str:
        try:
            return codecs.lookup(name).name
        except LookupError:
            raise ValueError(f"no encoding is called {name!r}; expected such as utf-8, utf-16, windows-1252") from None


def kind_of_name(name: str) -> Kind | None:
    """Return the kind that a file's name says, whether compressed (.gz) or not; None where it says none."""
    return _SUFFIXES.get(PurePosixPath(name.lower().removesuffix(".gz")).suffix)


KINDS: tuple[Kind, ...] = get_args(Kind)
SUFFIXES = tuple(_SUFFIXES)
