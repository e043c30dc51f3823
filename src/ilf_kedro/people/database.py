"""The file of a campaign: SQLite, one writer on a thread of its own, on disk before anyone is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import psutil
from filelock import FileLock, Timeout

from ilf_kedro.schemas.base import UserError

__all__ = ["CampaignError", "Database"]

P = ParamSpec("P")
T = TypeVar("T")

FORMAT = 1
_BUSY_SECONDS = 60.0
_NETWORKED = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)

_SCHEMA = """
CREATE TABLE campaign (settings TEXT NOT NULL);
CREATE TABLE guidelines (version INTEGER PRIMARY KEY, text TEXT NOT NULL, written_at TEXT NOT NULL);
CREATE TABLE items (
    item_id TEXT PRIMARY KEY, position INTEGER NOT NULL UNIQUE, body TEXT NOT NULL,
    is_gold INTEGER NOT NULL, is_asked INTEGER NOT NULL, overlap INTEGER NOT NULL
);
CREATE TABLE annotators (
    annotator_id INTEGER PRIMARY KEY, pseudonym TEXT NOT NULL UNIQUE, name TEXT UNIQUE, token_hash TEXT UNIQUE,
    language TEXT, acknowledged INTEGER NOT NULL DEFAULT 0, acknowledged_at TEXT
);
CREATE TABLE assignments (
    assignment_id TEXT PRIMARY KEY, item_id TEXT NOT NULL REFERENCES items,
    annotator_id INTEGER NOT NULL REFERENCES annotators,
    state TEXT NOT NULL CHECK (state IN ('open', 'submitted', 'skipped')), order_shown TEXT NOT NULL,
    first_shown_at TEXT NOT NULL, expires_at REAL, UNIQUE (item_id, annotator_id)
);
CREATE INDEX assignments_of_annotator ON assignments (annotator_id, state);
CREATE TABLE drafts (
    assignment_id TEXT PRIMARY KEY REFERENCES assignments, body TEXT NOT NULL, sequence INTEGER NOT NULL
);
CREATE TABLE times (
    assignment_id TEXT NOT NULL REFERENCES assignments, page TEXT NOT NULL,
    active_ms INTEGER NOT NULL, open_ms INTEGER NOT NULL, PRIMARY KEY (assignment_id, page)
) WITHOUT ROWID;
CREATE TABLE answers (
    item_id TEXT NOT NULL REFERENCES items, annotator_id INTEGER NOT NULL REFERENCES annotators, round INTEGER NOT NULL,
    revision INTEGER NOT NULL, status TEXT NOT NULL CHECK (status IN ('submitted', 'skipped')), body TEXT, reason TEXT,
    comment TEXT NOT NULL, order_shown TEXT NOT NULL, guideline_version INTEGER NOT NULL, first_shown_at TEXT NOT NULL,
    submitted_at TEXT NOT NULL, active_ms INTEGER, open_ms INTEGER, UNIQUE (item_id, annotator_id, round, revision)
);
"""


class CampaignError(UserError):
    """A campaign's file is missing, is something else, or is served already."""


class Database:
    """One campaign's file. Work on it is a function of the connection, done whole or not at all.

    Raises:
        CampaignError: the file is missing (or, to be made, is there already), or is no campaign.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if create == path.exists():
            found = (
                "is there already; choose another name"
                if create
                else "is not there; make it by `kedro annotate create`"
            )
            raise CampaignError(f"the campaign {path} {found}")
        _refuse_network(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="campaign")
        try:
            self._connection = self._thread.submit(_connect, path, create).result()
        except sqlite3.Error as error:
            raise CampaignError(f"{path} cannot be read as a campaign: {error}") from error

    def do(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work in one transaction, and return once it is on disk."""
        return self._thread.submit(lambda: self._transact(work, *args, **kwargs)).result()

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the same without holding up the event loop."""
        return await asyncio.wrap_future(self._thread.submit(lambda: self._transact(work, *args, **kwargs)))

    def forget_traces(self) -> None:
        """Write the file afresh, so that nothing that was deleted is left in it or in its log."""

        def vacuum() -> None:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        self._thread.submit(vacuum).result()

    def serve_alone(self) -> FileLock:
        """Take the lock of the one server that a campaign can have.

        Raises:
            CampaignError: another process holds it.
        """
        lock = FileLock(f"{self.path}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise CampaignError(f"another process serves {self.path}; stop it, or use its page") from None
        return lock

    def close(self) -> None:
        """Finish what is under way, and close the file."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    def _transact(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection, *args, **kwargs)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result


def _connect(path: Path, create: bool) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"the disk allows no write-ahead log (journal mode {mode}); use a local disk")
    # FULL: a commit is on disk when it returns, also after a power cut. Deleted names are overwritten.
    connection.executescript("PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON;")
    if create:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={FORMAT}; COMMIT;")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found != FORMAT:
        connection.close()
        raise sqlite3.DatabaseError(f"its format is {found}, expected {FORMAT}")
    return connection


def _refuse_network(path: Path) -> None:
    """Refuse a network file system, where SQLite's locks do not hold."""
    parents = {str(parent) for parent in path.absolute().parents}
    mounts = [each for each in psutil.disk_partitions(all=True) if each.mountpoint in parents]
    if mounts and (disk := max(mounts, key=lambda each: len(each.mountpoint))).fstype in _NETWORKED:
        raise CampaignError(
            f"{path} lies on a network file system ({disk.fstype}), where answers can be lost; use a local disk"
        )
