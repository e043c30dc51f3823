"""The completion cache's file: its tables, and the statements on an open connection.

Only cache.py uses this.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

CacheRow = tuple[str, str, int, int]  # key, value, checksum, last_used_day

BUSY_SECONDS = 60.0
_SECONDS_PER_DAY = 86_400
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SCHEMA = """
CREATE TABLE IF NOT EXISTS completions (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL, last_used_day INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS lookups (day INTEGER PRIMARY KEY, hits INTEGER NOT NULL, misses INTEGER NOT NULL);
"""
# Not OR IGNORE, which would pass over a column that must be filled and lose the answer in silence.
_INSERT = (
    "INSERT INTO completions (key, value, checksum, last_used_day) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
)
_COLUMNS = {
    "completions": ["key", "value", "checksum", "last_used_day"],
    "lookups": ["day", "hits", "misses"],
}


class ForeignFileError(Exception):
    """The file is an intact database, but not a completion cache of this version."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, and make it and its tables where they are missing.

    Raises:
        sqlite3.Error, UnicodeDecodeError: it cannot be opened; `is_damage` tells whether its content is at fault.
        ForeignFileError: it has other tables or columns than a completion cache.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    # Garbled text fails its checksum below instead of failing to decode here.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        _refuse_foreign(connection)
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        # Without a disk flush per commit: safe against any kill of the process, and after a power cut
        # whole but perhaps without the last seconds.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.executescript(_SCHEMA)
    except (sqlite3.Error, UnicodeDecodeError, ForeignFileError):
        connection.close()
        raise
    return connection


def _refuse_foreign(connection: sqlite3.Connection) -> None:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
    if others := sorted(name for name in names if name not in _COLUMNS and not name.startswith("sqlite_")):
        raise ForeignFileError(f"it holds the tables {others}, which are another program's")
    for table, expected in _COLUMNS.items():
        found = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        if table in names and found != expected:
            raise ForeignFileError(f"its table {table} has the columns {found}, a completion cache has {expected}")


def look_up(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
    """Return the intact values of the keys that are there, and record the look-ups and the day of use."""
    query = "SELECT key, value, checksum, last_used_day FROM completions WHERE key IN (SELECT value FROM json_each(?))"
    found: dict[str, str] = {}
    stale, garbled = [], []
    for key, value, checksum, day in connection.execute(query, (json.dumps(list(keys)),)):
        if not isinstance(value, str) or _checksum(value) != checksum:
            garbled.append((key,))
            continue
        found[key] = value
        if not isinstance(day, int) or day < today():
            stale.append((today(), key))
    hits = sum(key in found for key in keys)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("UPDATE completions SET last_used_day = ? WHERE key = ?", stale)
        connection.executemany("DELETE FROM completions WHERE key = ?", garbled)
        connection.execute(
            "INSERT INTO lookups VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE "
            "SET hits = hits + excluded.hits, misses = misses + excluded.misses",
            (today(), hits, len(keys) - hits),
        )
    if garbled:
        logger.warning("Dropped %d garbled answers from the completion cache", len(garbled))
    return found


def insert(connection: sqlite3.Connection, rows: Iterable[CacheRow]) -> None:
    """Add the rows in one transaction; a key that is there keeps its value."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_INSERT, rows)


def delete(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Delete the rows of these keys."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM completions WHERE key = ?", [(key,) for key in keys])


def new_rows(items: Iterable[tuple[str, str]]) -> list[CacheRow]:
    """Return rows of keys and values (JSON), used today; half a surrogate pair becomes its escape, which JSON knows."""
    sound = ((key, value.encode(errors="backslashreplace").decode()) for key, value in items)
    return [(key, value, _checksum(value), today()) for key, value in sound]


def count(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return the numbers of entries, hits and misses."""
    (entries,) = connection.execute("SELECT count(*) FROM completions").fetchone()
    hits, misses = connection.execute("SELECT total(hits), total(misses) FROM lookups").fetchone()
    return entries, int(hits), int(misses)


def delete_unused(connection: sqlite3.Connection, before_day: int) -> int:
    """Delete what was last used before the day, give the space back, and return how many rows went."""
    with connection:
        deleted = connection.execute("DELETE FROM completions WHERE last_used_day < ?", (before_day,)).rowcount
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:  # another process reads; the freed pages are used again anyway
        logger.info("The completion cache was pruned but could not be shrunk now: %s", error)
    return deleted


def readable_rows(path: Path) -> list[CacheRow]:
    """Read what is intact of a damaged file: from its first row on, from its last back, and by its index."""
    rows: dict[str, CacheRow] = {}
    for order in ("rowid", "rowid DESC", "key", "key DESC"):
        try:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
            connection.text_factory = lambda raw: raw.decode(errors="replace")
            try:
                for row in connection.execute(f"SELECT * FROM completions ORDER BY {order}"):  # noqa: S608
                    if isinstance(row[1], str) and _checksum(row[1]) == row[2]:
                        rows[row[0]] = row
            finally:
                connection.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            logger.debug("Reading %s stopped: %s", path, error)
    return list(rows.values())


def is_damage(error: Exception) -> bool:
    """Tell whether the error says that the file's content, not its place or permissions, is wrong."""
    if isinstance(error, UnicodeDecodeError):  # of SQLite's own message about it, which repeats garbled bytes
        return True
    # The low byte is the primary code: an extended one, such as SQLITE_CORRUPT_INDEX, is damage too.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def remedy(error: Exception) -> str:
    """Say what an error that is no damage means, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another process has kept it locked for {BUSY_SECONDS:g} seconds: end that process, and run again"
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full: make room, and run again"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return "it may not be written: change its permissions, or name another path in the catalog"
    if isinstance(error, ForeignFileError):
        return "name another path in the catalog, or move that file away"
    return "it must be a writable file on a local disk with space left: mend that, or name another path in the catalog"


def today() -> int:
    """Return the days since 1970-01-01."""
    return int(time.time() // _SECONDS_PER_DAY)


def _checksum(value: str) -> int:
    return zlib.crc32(value.encode())
