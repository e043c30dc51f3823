"""Where the paths in a catalog entry point to."""

from __future__ import annotations

import mimetypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kedro.utils import find_kedro_project

_ARCHIVES = {"application/x-tar": "tar", "application/zip": "zip"}  # as kedro.config reads


def project_path(value: str | os.PathLike[str]) -> Path:
    """Return `value` as an absolute path: relative ones begin at the project's root.

    Kedro does this itself, but only for keys named filepath, filename or path.
    """
    path = Path(value).expanduser()
    if path.is_absolute():
        return path
    return Path(find_kedro_project(Path.cwd()) or Path.cwd()) / path


def through_archive(path: str) -> str:
    """Return the URL of a file inside an archive on the local disk for a path that leads through the archive.

    /place/conf.tar.gz/conf/base/x.yml becomes tar://conf/base/x.yml::/place/conf.tar.gz; any other path stays as it is.
    """
    for archive in PurePosixPath(path).parents:
        kind = mimetypes.guess_type(archive.name)[0]
        if kind in _ARCHIVES and Path(archive).is_file():
            return f"{_ARCHIVES[kind]}://{PurePosixPath(path).relative_to(archive)}::{archive}"
    return path


@contextmanager
def whole_or_absent(target: Path) -> Iterator[Path]:
    """Give a temporary directory beside `target`, which takes its name when the block ends well.

    A directory that bore the name before is replaced. Killed at any moment, `target` is whole or absent.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        new, old = workplace / "new", workplace / "old"
        new.mkdir()
        yield new
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists() and not target.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file beside its place and rename it: killed at any moment, `target` is whole or as before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as workplace:
        new = Path(workplace) / target.name
        new.write_bytes(content)
        new.replace(target)
