"""Where a model's weights are, and what is known about how they were made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ilf_kedro.schemas import Options

Format = Literal["plain", "chat"]
Dtype = Literal["auto", "float32", "bfloat16"]

RECORD_FILE = "training_record.json"


class TrainingRecord(Options):
    """How a checkpoint came to be. `content_hash` identifies it: same hash, same weights.

    The hash covers data, options, seed, the base model's revision and the version of the loss code. The kind
    "untrained" has no weights of its own: it stands for a base model that is used as it is.
    """

    content_hash: str
    kind: Literal["lora", "full", "untrained"]
    base_model: str
    base_revision: str
    method: str
    n_examples: int
    n_steps: int
    n_truncated: int
    seed: int
    dtype: str
    final_loss: float
    seconds: float
    log: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete trained model on the local disk.

    `directory` holds safetensors weights (a PEFT adapter where record.kind is "lora", else a whole
    model with tokenizer) and RECORD_FILE.
    """

    directory: Path
    record: TrainingRecord


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A base model's directory (transformers format) and how to talk to it.

    `revision` is the SHA-256 over its weight, config and tokenizer files.
    """

    name: str
    directory: Path
    revision: str
    format: Format = "plain"
    dtype: Dtype = "auto"
