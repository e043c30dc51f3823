"""A raw text file in the catalog, as lines: local, on a remote, or on the Hugging Face hub."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, NoReturn

import fsspec
from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from ilf_kedro.datasets._config import parse_options
from ilf_kedro.datasets._hub import HubFile, fetch
from ilf_kedro.schemas import RawLines
from ilf_kedro.tasks.reading.json_rows import decode_lines


class RawLinesDataset(AbstractDataset[NoReturn, RawLines]):
    """Loads UTF-8 lines with the file's name; validating what they say is data_prep's work.

    A byte-order mark and CRLF line ends are fine; a byte that is not UTF-8 becomes a lone surrogate (Python's
    "surrogateescape"), which data_prep refuses with its row. Either `filepath` (any fsspec path) or `hub` says where
    the file is; a file of the hub is downloaded once, and needs no network afterwards.

    Example:
        ```yaml
        "raw.{split}":
          type: ilf_kedro.datasets.RawLinesDataset
          hub: {repo_id: JeremyAlain/SLF5K, revision: <commit>, file: "{split}.jsonl"}
        ```
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str] | None = None,
        hub: dict[str, Any] | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Points at a file; nothing is read or downloaded yet."""
        if (filepath is None) == (hub is None):
            raise DatasetError(
                "a RawLinesDataset needs either `filepath` (a local or fsspec path) or `hub` (repo_id, revision, "
                f"file), found {'neither' if hub is None else 'both'}"
            )
        self._hub = parse_options(HubFile, hub, where="the `hub` of a RawLinesDataset") if hub is not None else None
        self._filepath = str(filepath) if filepath is not None else None
        self._protocol, self._path = get_protocol_and_path(filepath) if filepath is not None else ("hf", "")
        self._storage_options = {**(credentials or {}), **(fs_args or {})}
        self.metadata = metadata

    def load(self) -> RawLines:
        """Return the file's lines without their ends.

        Raises:
            DatasetError: the file is absent or unreachable.
        """
        content = fetch(self._hub).read_bytes() if self._hub else self._read()
        return RawLines(self._name, decode_lines(content), hashlib.sha256(content).hexdigest())

    def save(self, data: NoReturn) -> None:
        """Refuse: raw data are never written.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"raw data are read-only; {self._name} is not written")

    @property
    def _name(self) -> str:
        return str(self._hub) if self._hub else _shown(self._filepath or "")

    def _read(self) -> bytes:
        try:
            return bytes(fsspec.filesystem(self._protocol, **self._storage_options).cat_file(self._path))
        except FileNotFoundError:
            raise DatasetError(
                f"there is no file {self._name}; put it there, or name another in the catalog entry"
            ) from None

    def _exists(self) -> bool:
        if self._hub:
            return True
        return bool(fsspec.filesystem(self._protocol, **self._storage_options).exists(self._path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "hub": str(self._hub) if self._hub else None}


def _shown(filepath: str) -> str:
    """Shorten a path inside the working directory to its relative form, for messages."""
    path = Path(filepath)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filepath
