"""Data sets for the run record: the one on disk, and the one of the run in progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import get_filepath_str
from kedro_datasets._typing import JSONPreview
from kedro_datasets.json import JSONDataset

from ilf_kedro.datasets._paths import write_whole
from ilf_kedro.schemas.run_record import RunRecord

__all__ = ["CurrentRunRecordDataset", "RunRecordDataset"]


class RunRecordDataset(JSONDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A run record as JSON, local or on any fsspec remote; versioned by run.

    A run writes its record again and again (when it starts, after each node, when it ends), so its own
    version may be overwritten. A local file is replaced at once: whoever is killed while writing leaves
    the last complete record.
    """

    def load(self) -> RunRecord:
        """Return the record of the last run, or of the version asked for."""
        path = get_filepath_str(self._get_load_path(), self._protocol)
        return RunRecord.model_validate_json(self._fs.cat_file(path))

    def save(self, data: RunRecord) -> None:
        """Write the record in place of this run's earlier one."""
        path = get_filepath_str(self._get_save_path(), self._protocol)
        content = f"{data.model_dump_json(indent=2)}\n".encode()
        if self._protocol == "file":
            write_whole(Path(path), content)
        else:
            self._fs.pipe_file(path, content)
        self._invalidate_cache()

    def preview(self) -> JSONPreview:
        """Return the record for kedro-viz."""
        return JSONPreview(self.load().model_dump_json())

    def _get_save_path(self) -> PurePosixPath:
        version = self.resolve_save_version()
        path: PurePosixPath = self._get_versioned_path(version) if version else self._filepath
        return path


class CurrentRunRecordDataset(AbstractDataset[None, RunRecord]):
    """The record of the run in progress, as it is when loaded: so the report can show its own run."""

    _EPHEMERAL = True

    def __init__(self, read: Callable[[], RunRecord]) -> None:
        """Ask `read` for the record at each load."""
        self._read = read

    def load(self) -> RunRecord:
        """Return the record as of now."""
        return self._read()

    def save(self, data: None) -> None:
        """Refuse: only the run itself writes its record."""
        raise DatasetError("the record of the run in progress cannot be saved by a node")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}
