"""The completion cache: one SQLite file under every backend, so that no answer is computed or paid for twice.

A value is kept under the hash of everything that determines it. The file may be shared by threads and
processes of one machine (SQLite's write-ahead log does not work on network file systems), and a process
killed at any moment leaves everything committed readable.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from pydantic import JsonValue

from ilf_kedro.language_models.cache import database

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# Connections that a forked child inherited: SQLite forbids even closing them there.
_inherited: list[sqlite3.Connection] = []


class CacheUnavailableError(RuntimeError):
    """The cache file can be neither read nor written, for a reason other than damage to its content; says which."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cache holds and how often it had the answer, over all processes that ever used the file."""

    entries: int
    n_bytes: int
    hits: int
    misses: int

    @property
    def hit_rate(self) -> float | None:
        """Share of look-ups that were answered; None before the first."""
        total = self.hits + self.misses
        return self.hits / total if total else None


@dataclass(frozen=True, slots=True)
class _Handle:
    """An open connection, the process that opened it, and the file (inode) that it reads."""

    connection: sqlite3.Connection
    process_id: int
    inode: int


def cache_key(**parts: JsonValue) -> str:
    """Return the SHA-256 (hex) of the parts as canonical JSON: sorted keys, no blanks, no NaN.

    Raises:
        ValueError: a part is NaN or infinite, which JSON cannot say.
        TypeError: a part is no JSON value.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def sample_key(key: str, index: int) -> str:
    """Return the key of one of the samples that are drawn under a key."""
    return hashlib.sha256(f"{key}|{index}".encode("ascii")).hexdigest()


class CompletionCache:
    """A persistent map from cache keys to JSON texts that only grows until it is pruned.

    Nothing is opened before the first use. `hits` and `misses` count the look-ups through this object. It
    pickles as its path alone; each process and each thread opens a connection of its own. A damaged file is
    set aside as `<name>.damaged-<n>` with a warning, and what can still be read of it goes into a new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.hits = 0
        self.misses = 0
        self._counting = threading.Lock()
        self._local = threading.local()

    def __reduce__(self) -> tuple[type[CompletionCache], tuple[Path]]:
        return CompletionCache, (self.path,)

    def __repr__(self) -> str:
        return f"CompletionCache({str(self.path)!r})"

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the values of those keys that are present, and count hits and misses.

        A value whose checksum is wrong is dropped and counts as missing.

        Raises:
            CacheUnavailableError: the file cannot be opened, read or written.
        """
        if not keys:
            return {}
        found = self._run(lambda connection: database.look_up(connection, keys))
        hits = sum(key in found for key in keys)
        with self._counting:
            self.hits += hits
            self.misses += len(keys) - hits
        return found

    def put_many(self, items: Mapping[str, str]) -> None:
        """Store the items in one transaction, all or none; a key that is there keeps its value.

        Raises:
            CacheUnavailableError: the file cannot be opened or written (a full disk, no permission).
        """
        if items:
            rows = database.new_rows(items.items())
            self._run(lambda connection: database.insert(connection, rows))

    def drop(self, keys: Sequence[str]) -> None:
        """Delete values that nobody can read, so that new ones can take their place.

        Raises:
            CacheUnavailableError: the file cannot be opened or written.
        """
        if keys:
            logger.warning("Dropped %d answers from the completion cache that cannot be read", len(keys))
            self._run(lambda connection: database.delete(connection, keys))

    def statistics(self) -> CacheStatistics:
        """Count entries, bytes on disk, hits and misses."""
        entries, hits, misses = self._run(database.count)
        return CacheStatistics(entries, self.size(), hits, misses)

    def size(self) -> int:
        """Return the bytes on disk, the write-ahead log included; 0 before the first use."""
        files = (self.path, _sibling(self.path, "-wal"))
        return sum(file.stat().st_size for file in files if file.is_file())

    def prune(self, older_than_days: int) -> int:
        """Delete what was last used more than so many days ago, shrink the file, and return how many went.

        Raises:
            ValueError: `older_than_days` is negative.
        """
        if older_than_days < 0:
            raise ValueError(f"older_than_days must be 0 or more, found {older_than_days}")
        before = database.today() - older_than_days
        return self._run(lambda connection: database.delete_unused(connection, before))

    def close(self) -> None:
        """Close this thread's connection; the next use opens it again."""
        handle: _Handle | None = getattr(self._local, "handle", None)
        self._local.handle = None
        if handle is None:
            return
        if handle.process_id == os.getpid():
            handle.connection.close()
        else:
            _inherited.append(handle.connection)

    def _run(self, operation: Callable[[sqlite3.Connection], Result]) -> Result:
        """Apply the operation; where the file proves damaged, set it aside and apply it once more."""
        try:
            handle = self._open()
            try:
                return operation(handle.connection)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if not database.is_damage(error):
                    raise
                return operation(self._replace(handle, error).connection)
        except (sqlite3.Error, OSError, database.ForeignFileError, Timeout) as error:
            found = "it is a folder" if self.path.is_dir() else str(error)
            raise CacheUnavailableError(
                f"the completion cache {self.path} cannot be used: {found}; {database.remedy(error)}. What was not "
                "stored is asked for again."
            ) from error

    def _open(self) -> _Handle:
        """Return this thread's connection to the file that the path names now."""
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is not None and handle.process_id == os.getpid() and handle.inode == _inode(self.path):
            return handle
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            return self._connect()

    def _connect(self) -> _Handle:
        """Open the file, or begin a new one where it is damaged; the lock is held."""
        try:
            connection = database.connect(self.path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not database.is_damage(error):
                raise
            self._set_aside(error)
            connection = database.connect(self.path)
        handle = _Handle(connection, os.getpid(), _inode(self.path))
        self._local.handle = handle
        return handle

    def _replace(self, damaged: _Handle, error: Exception) -> _Handle:
        self.close()
        with self._lock():
            if _inode(self.path) == damaged.inode:  # else another thread or process was quicker
                self._set_aside(error)
            return self._connect()

    def _set_aside(self, error: Exception) -> None:
        """Rename the damaged file, and begin a new one with the rows that can still be read; the lock is held."""
        number = 1
        while (aside := _sibling(self.path, f".damaged-{number}")).exists():
            number += 1
        # The log first: were this process killed in between, no old log could join a new file.
        for suffix in ("-wal", ""):
            if (file := _sibling(self.path, suffix)).exists():
                file.rename(_sibling(aside, suffix))
        _sibling(self.path, "-shm").unlink(missing_ok=True)
        rescued = database.readable_rows(aside)
        connection = database.connect(self.path)
        database.insert(connection, rescued)
        connection.close()
        logger.warning(
            "The completion cache %s is damaged (%s): set aside as %s, %d of its answers rescued; "
            "the others will be computed or asked for again.",
            self.path,
            error,
            aside.name,
            len(rescued),
        )

    def _lock(self) -> FileLock:
        """Return the lock between threads and processes for creating the file and setting it aside."""
        return FileLock(_sibling(self.path, ".lock"), timeout=database.BUSY_SECONDS)


def _sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _inode(path: Path) -> int:
    return path.stat().st_ino if path.exists() else -1
