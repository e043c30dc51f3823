"""A trained model's directory in the catalog: versioned, and complete or absent."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from kedro.io.core import AbstractVersionedDataset, DatasetError, Version, get_protocol_and_path
from pydantic import ValidationError

from ilf_kedro.datasets._paths import project_path, whole_or_absent
from ilf_kedro.language_models.checkpoints.checkpoint import RECORD_FILE, Checkpoint, TrainingRecord
from ilf_kedro.language_models.checkpoints.manifest import MARKER, Manifest

logger = logging.getLogger(__name__)


class CheckpointDataset(AbstractVersionedDataset[Checkpoint, Checkpoint]):
    """Saves and loads a `Checkpoint`, on the local disk or any fsspec remote.

    The directory is <filepath>/<version>/<name>, or <filepath> itself unversioned. The marker `_COMPLETE`
    is written last and lists every file with its size and SHA-256: without it, the version does not
    exist, and the one before stays the latest. On the local disk files are hard-linked where possible,
    so a saved directory is never written into again. A remote checkpoint is downloaded once.

    Example:
        ```yaml
        "finetune.{arm}.n{size}.checkpoint":
          type: ilf_kedro.datasets.CheckpointDataset
          filepath: data/06_models/finetune/{arm}/n{size}
          versioned: true
        ```
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        local_cache: str | os.PathLike[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Points at a directory; nothing is read yet.

        Args:
            filepath: the directory, with a protocol such as s3:// where it is remote.
            version: which version to load and save (Kedro gives it where the entry is versioned).
            credentials: for the remote's fsspec file system; null where the environment has them.
            fs_args: further arguments of that file system.
            local_cache: where remote checkpoints are downloaded to; the user's cache directory by default.
            metadata: for kedro-viz; not used here.
        """
        self._protocol, path = get_protocol_and_path(filepath, version)
        self._fs = fsspec.filesystem(self._protocol, **(credentials or {}), **(fs_args or {}))
        self._local_cache = project_path(local_cache) if local_cache else _default_cache()
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._is_complete,
            glob_function=self._fs.glob,
        )

    def save(self, data: Checkpoint) -> None:
        """Copy the checkpoint's directory into the catalog, its marker last.

        Raises:
            DatasetError: the directory is no checkpoint, or the target cannot be written.
        """
        if not (data.directory / RECORD_FILE).is_file():
            raise DatasetError(
                f"{data.directory} is no checkpoint: it has no {RECORD_FILE}. "
                "Save what a training returned, a directory with weights and their training record."
            )
        target = self._get_save_path().as_posix()
        manifest = Manifest.of(data.directory, data.record.content_hash)
        try:
            if self._protocol == "file":
                _link(data.directory, Path(target), manifest)
            else:
                self._upload(data.directory, target, manifest)
        except OSError as error:
            raise DatasetError(
                f"could not save the checkpoint to {self._shown(target)}: {error}. What was written of it does not "
                "count. Check that there is room, that the place (or bucket) exists and that it may be written to."
            ) from error
        finally:
            self._fs.invalidate_cache()

    def load(self) -> Checkpoint:
        """Return the checkpoint with a local directory, downloading it where it is remote and not here yet.

        Raises:
            DatasetError: the version named is incomplete or does not exist, or its files are damaged.
            VersionNotFoundError: no complete version exists.
        """
        path = self._get_load_path().as_posix()
        manifest = self._read_manifest(path)
        directory = Path(path)
        if self._protocol != "file":
            directory = self._download(path, manifest)
        elif faults := manifest.missized(directory):
            raise DatasetError(_damaged(path, faults))
        return Checkpoint(directory, _read_record(directory))

    def _upload(self, source: Path, target: str, manifest: Manifest) -> None:
        if self._fs.exists(f"{target}/{MARKER}"):  # unversioned, and saved before: it ceases to exist first
            self._fs.rm_file(f"{target}/{MARKER}")
        if self._fs.exists(target):
            self._fs.rm(target, recursive=True)
        logger.info("Uploading a checkpoint of %.0f MB to %s", manifest.size / 1e6, self._shown(target))
        for entry in manifest.files:
            self._fs.put_file(str(source / entry.name), f"{target}/{entry.name}")
        self._fs.pipe_file(f"{target}/{MARKER}", manifest.model_dump_json(indent=1).encode())

    def _download(self, path: str, manifest: Manifest) -> Path:
        directory = self._local_cache / f"{PurePosixPath(manifest.content_hash).name[:16]}-{manifest.digest[:16]}"
        if _is_here(directory, manifest):
            return directory
        logger.info("Downloading a checkpoint of %.0f MB from %s", manifest.size / 1e6, self._shown(path))
        try:
            self._fetch(path, directory, manifest)
        except OSError:
            if not _is_here(directory, manifest):  # another process may have finished first
                raise
        return directory

    def _fetch(self, path: str, directory: Path, manifest: Manifest) -> None:
        with whole_or_absent(directory) as new:
            for entry in manifest.files:
                (new / entry.name).parent.mkdir(parents=True, exist_ok=True)
                self._fs.get_file(f"{path}/{entry.name}", str(new / entry.name))
            if faults := manifest.damaged(new):
                raise DatasetError(_damaged(self._shown(path), faults))
            (new / MARKER).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")

    def _read_manifest(self, path: str) -> Manifest:
        try:
            return Manifest.model_validate_json(self._fs.cat_file(f"{path}/{MARKER}"))
        except (FileNotFoundError, NotADirectoryError):
            raise DatasetError(self._absent(path)) from None
        except ValidationError as error:
            raise DatasetError(f"{self._shown(path)}/{MARKER} is no manifest of a checkpoint: {error}") from error

    def _absent(self, path: str) -> str:
        """Say why `path` does not count as a checkpoint, and what to do."""
        if not self._fs.exists(path):
            found = f"there is no checkpoint at {self._shown(path)}"
        else:
            found = f"the checkpoint at {self._shown(path)} is incomplete (no {MARKER}: its saving was interrupted)"
        if not self._version:
            return f"{found}. Run the pipeline that makes it again."
        complete = ", ".join(self.list_versions(full_path=False)) or "none"
        return f"{found}. Complete versions: {complete}. Name one of them, or none for the latest."

    def _is_complete(self, path: str) -> bool:
        return bool(self._fs.exists(f"{path}/{MARKER}"))

    def _exists(self) -> bool:
        return self._is_complete(self._get_load_path().as_posix())

    def _release(self) -> None:
        super()._release()
        self._fs.invalidate_cache()

    def _shown(self, path: str) -> str:
        return path if self._protocol == "file" else f"{self._protocol}://{path}"

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol, "version": self._version}


def _link(source: Path, target: Path, manifest: Manifest) -> None:
    """Make `target` hold the files of `source`: the same ones where the file system allows, else copies."""
    with whole_or_absent(target) as new:
        for entry in manifest.files:
            (new / entry.name).parent.mkdir(parents=True, exist_ok=True)
            original = (source / entry.name).resolve()
            try:
                os.link(original, new / entry.name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(original, new / entry.name)
        (new / MARKER).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")


def _is_here(directory: Path, manifest: Manifest) -> bool:
    return (directory / MARKER).is_file() and not manifest.missized(directory)


def _read_record(directory: Path) -> TrainingRecord:
    try:
        return TrainingRecord.model_validate_json((directory / RECORD_FILE).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise DatasetError(f"{directory / RECORD_FILE} is no training record of this version: {error}") from error


def _damaged(place: str, faults: list[str]) -> str:
    return (
        f"the checkpoint at {place} is not what was saved ({'; '.join(faults)}). "
        "Delete this version and run the pipeline that makes it again."
    )


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ilf_kedro" / "checkpoints"
