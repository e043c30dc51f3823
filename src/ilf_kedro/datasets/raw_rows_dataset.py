"""The user's data in the catalog, of any kind: a file, a folder of files, or a data set on the hub."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import fsspec
from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from ilf_kedro.datasets._config import parse_options
from ilf_kedro.datasets._hub import HubFile, fetch
from ilf_kedro.schemas import RawRows, UserError
from ilf_kedro.tasks.reading import HubSplit, ReadOptions, read_bytes, read_hub, read_rows


class RawRowsDataset(AbstractDataset[NoReturn, RawRows]):
    """Loads rows as they are; what they mean is the task's to say, and faults are data_prep's to tell.

    `filepath` is a file or a folder on any file system: JSON lines, a JSON list, CSV, Parquet or Arrow, each also with
    .gz. `hub` is one file of a data set on the hub (`file`), or a split of it (`split`, and `config` where it has
    several), pinned to a commit. `kind`, `separator`, `quote` and `encoding` say what a name does not.

    Example:
        ```yaml
        "raw.{split}":
          type: ilf_kedro.datasets.RawRowsDataset
          filepath: data/01_raw/mine/{split}.csv
          separator: ";"
          encoding: windows-1252
        ```
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str] | None = None,
        hub: dict[str, Any] | None = None,
        kind: str | None = None,
        separator: str | None = None,
        quote: str = '"',
        encoding: str = "utf-8",
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Points at the data; nothing is read or downloaded yet."""
        if (filepath is None) == (hub is None):
            raise DatasetError(
                "a RawRowsDataset needs either `filepath` (a local or fsspec path) or `hub` (repo_id, revision, and "
                f"file or split), found {'neither' if hub is None else 'both'}"
            )
        self._filepath = str(filepath) if filepath is not None else None
        self._hub = _hub_source(hub) if hub is not None else None
        options = {"kind": kind, "separator": separator, "quote": quote, "encoding": encoding}
        self._options = parse_options(ReadOptions, options, where="a RawRowsDataset")
        self._storage_options = {**(credentials or {}), **(fs_args or {})}
        self.metadata = metadata

    def load(self) -> RawRows:
        """Return the rows, and the faults of those that cannot be read.

        Raises:
            DatasetError: the data are absent or unreachable.
        """
        if isinstance(self._hub, HubFile):
            return read_bytes(str(self._hub), fetch(self._hub).read_bytes(), self._options)
        try:
            if self._hub is not None:
                return read_hub(self._hub)
            return read_rows(self._filepath or "", self._options, storage_options=self._storage_options)
        except UserError as error:
            raise DatasetError(str(error)) from None

    def save(self, data: NoReturn) -> None:
        """Refuse: raw data are never written.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"raw data are read-only; {self._hub or self._filepath} is not written")

    def _exists(self) -> bool:
        if self._filepath is None:
            return True
        protocol, path = get_protocol_and_path(self._filepath)
        return bool(fsspec.filesystem(protocol, **self._storage_options).exists(path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "hub": str(self._hub) if self._hub else None}


def _hub_source(values: dict[str, Any]) -> HubFile | HubSplit:
    model: type[HubFile | HubSplit] = HubFile if "file" in values else HubSplit
    return parse_options(model, values, where="the `hub` of a RawRowsDataset", also=("file", "split", "config"))
