"""Records of trainings that nobody ran, and checkpoints that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, TrainingRecord


def training_record(**changes: Any) -> TrainingRecord:
    """Return the record of one step of LoRA on one example, but for `changes`."""
    values: dict[str, Any] = {
        "content_hash": "0" * 64,
        "kind": "lora",
        "base_model": "tiny",
        "base_revision": "r",
        "method": "supervised",
        "n_examples": 1,
        "n_steps": 1,
        "n_truncated": 0,
        "seed": 0,
        "dtype": "float32",
        "final_loss": 0.5,
        "seconds": 1.0,
        "log": ({"step": 1.0, "loss": 0.5},),
    }
    return TrainingRecord(**(values | changes))


def checkpoint(**changes: Any) -> Checkpoint:
    """Return a checkpoint without weights, for what looks at its record alone."""
    return Checkpoint(Path("nowhere"), training_record(**changes))
