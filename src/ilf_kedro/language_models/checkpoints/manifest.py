"""The manifest that stands in a checkpoint's `_COMPLETE` marker: which files there are, and their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationError, field_validator

from ilf_kedro.schemas import Options

MARKER = "_COMPLETE"


class FileEntry(Options):
    """One file of a directory: its relative POSIX path, its bytes and their SHA-256."""

    name: str
    size: int
    sha256: str

    @field_validator("name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{name!r} is no path inside the checkpoint")
        return name


class Manifest(Options):
    """Every file of a complete checkpoint, and the content hash of its training record."""

    format: Literal[1] = 1
    content_hash: str
    files: tuple[FileEntry, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, and so of every file in it: equal digests, equal directories."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files)

    @classmethod
    def of(cls, directory: Path, content_hash: str) -> Manifest:
        """Hash every file under `directory`, except a marker that an earlier save left there."""
        return cls(
            content_hash=content_hash,
            files=tuple(
                FileEntry(name=name, size=path.stat().st_size, sha256=file_hash(path))
                for name, path in sorted(_files(directory))
            ),
        )

    def missized(self, directory: Path) -> list[str]:
        """Return what differs from the manifest by name or size; cheap, for every load."""
        return [
            f"{entry.name}: expected {entry.size} bytes, found {_size(directory / entry.name)}"
            for entry in self.files
            if _size(directory / entry.name) != entry.size
        ]

    def damaged(self, directory: Path) -> list[str]:
        """Return what differs from the manifest in any byte; reads everything, for every download."""
        return self.missized(directory) or [
            f"{entry.name}: expected SHA-256 {entry.sha256[:12]}…, found {found[:12]}…"
            for entry in self.files
            if (found := file_hash(directory / entry.name)) != entry.sha256
        ]


def damages(directory: Path) -> list[str]:
    """Return how the files of a checkpoint differ from its manifest; none are known to where it has no manifest."""
    marker = directory / MARKER
    if not marker.is_file() or not marker.stat().st_size:
        return []
    try:
        return Manifest.model_validate_json(marker.read_bytes()).damaged(directory)
    except ValidationError as error:
        return [f"{MARKER} is no manifest ({error.error_count()} faults)"]


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name != MARKER:
            yield name, path


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
