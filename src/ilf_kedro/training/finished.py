"""The trainings that are finished, for finding out what a run would need without training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, TrainingRecord
from ilf_kedro.schemas import UserError
from ilf_kedro.training.workspace import TrainingWorkspace

__all__ = ["FinishedTrainings", "without_weights"]


class FinishedTrainings(TrainingWorkspace):
    """Finds every training: the finished one, or else a record without weights. Nothing is trained or written."""

    def find(self, content_hash: str) -> Checkpoint:
        """Return the finished checkpoint with this hash, or one that stands for it."""
        return super().find(content_hash) or without_weights(self.directory / content_hash, content_hash)

    @contextmanager
    def lock(self, content_hash: str) -> Iterator[None]:
        """Hold nothing: nothing is changed."""
        del content_hash
        yield

    def partial(self, content_hash: str, *, fresh: bool = False) -> Path:
        """Refuse to begin a training.

        Raises:
            UserError: always; one that is to be repeated (`retrain`) comes here.
        """
        raise UserError(f"the training {content_hash[:12]} is to be repeated (`retrain`), which is not tried here")


def without_weights(directory: Path, content_hash: str) -> Checkpoint:
    """Return a checkpoint that stands for a training which nobody has run."""
    record = TrainingRecord(
        content_hash=content_hash, kind="untrained", base_model="", base_revision="", method="none", n_examples=1,
        n_steps=0, n_truncated=0, seed=0, dtype="none", final_loss=0.0, seconds=0.0,
    )  # fmt: skip
    return Checkpoint(directory, record)
