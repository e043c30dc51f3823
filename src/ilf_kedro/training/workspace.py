"""Where trainings keep their results: one folder per content hash, complete or absent."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from ilf_kedro.language_models.checkpoints.checkpoint import RECORD_FILE, Checkpoint, TrainingRecord
from ilf_kedro.language_models.checkpoints.manifest import MARKER, Manifest, damages

logger = logging.getLogger(__name__)


class TrainingWorkspace:
    """A local folder of finished and unfinished trainings, addressed by content hash.

    `<directory>/<hash>/` is a finished checkpoint, made elsewhere and renamed into place, so that it is
    whole or absent; `<directory>/<hash>.partial/` is the state from which a killed training resumes.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find(self, content_hash: str) -> Checkpoint | None:
        """Return the finished checkpoint with this hash, or None where there is none that can be read."""
        directory = self.directory / content_hash
        if not (directory / MARKER).is_file():
            return None
        if damaged := damages(directory):
            message = "The finished training in %s is ignored: it is not what was saved (%s)"
            logger.warning(message, directory, "; ".join(damaged))
            return None
        try:
            record = TrainingRecord.model_validate_json((directory / RECORD_FILE).read_bytes())
        except (OSError, ValidationError) as error:
            logger.warning(
                "The finished training in %s is ignored: its %s is unreadable: %s", directory, RECORD_FILE, error
            )
            return None
        return Checkpoint(directory, record)

    @contextmanager
    def lock(self, content_hash: str) -> Iterator[None]:
        """Hold the training of this hash alone; another process that wants the same waits for it.

        The operating system releases the lock of a killed process.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.directory / f".{content_hash}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("Another process is running the training %s; waiting for it", content_hash[:12])
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def partial(self, content_hash: str, *, fresh: bool = False) -> Path:
        """Return the folder of the unfinished training's state; `fresh` empties it."""
        directory = self.directory / f"{content_hash}.partial"
        if fresh:
            shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def publish_untrained(self, name: str, revision: str) -> Checkpoint:
        """Put a record in place that stands for a base model which is used as it is, without weights."""
        content_hash = hashlib.sha256(f"untrained\0{name}\0{revision}".encode()).hexdigest()
        with self.lock(content_hash):
            found = self.find(content_hash)
            if found is not None:
                return found
            record = TrainingRecord(
                content_hash=content_hash,
                kind="untrained",
                base_model=name,
                base_revision=revision,
                method="none",
                n_examples=0,
                n_steps=0,
                n_truncated=0,
                seed=0,
                dtype="none",
                final_loss=0.0,
                seconds=0.0,
            )
            return self.publish(record, lambda _: None)

    def publish(self, record: TrainingRecord, write: Callable[[Path], None]) -> Checkpoint:
        """Let `write` fill a new folder with the weights, add the record, and put it in place as a whole.

        Replaces an older checkpoint of the same hash and removes the unfinished state. Call it under the lock.
        """
        final = self.directory / record.content_hash
        building = self.directory / f"{record.content_hash}.building"
        replaced = self.directory / f"{record.content_hash}.replaced"
        for leftover in (building, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
        building.mkdir(parents=True)
        write(building)
        (building / RECORD_FILE).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        manifest = Manifest.of(building, record.content_hash)
        (building / MARKER).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
        if final.exists():  # a folder that is not empty cannot be replaced in one step
            final.rename(replaced)
        building.rename(final)
        shutil.rmtree(replaced, ignore_errors=True)
        shutil.rmtree(self.directory / f"{record.content_hash}.partial", ignore_errors=True)
        return Checkpoint(final, record)
