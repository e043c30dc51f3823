"""What a model's configuration says, read as transformers reads it, but without running any code of the directory."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ilf_kedro.language_models.checkpoints.weights import unreadable

__all__ = ["context_length", "dropouts", "load_config"]

_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "context_length", "seq_length")
_WITHOUT_LENGTH = 2048  # tokens: state-space and ALiBi models name no limit; most saw so many in training


def load_config(directory: Path) -> Any:
    """Return the configuration (transformers) in a directory, with the defaults of its architecture.

    Raises:
        ModelDirectoryError: config.json cannot be read, or needs code that lies in the directory.
    """
    file = directory / "config.json"
    return _load(file, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=64)
def _load(file: Path, modified: int) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(file.parent), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever transformers makes of a file that it does not understand
        raise unreadable(file, "a model's configuration", error) from error


def context_length(directory: Path) -> int:
    """Return how many tokens the model in a directory can see.

    Where it says nothing, 2048. Doge's attention looks at later tokens beyond its window, so that it ends there.
    """
    config = load_config(directory).get_text_config(decoder=True)
    named = [value for name in _LENGTHS if isinstance(value := getattr(config, name, None), int) and value > 0]
    limits = [named[0] if named else _WITHOUT_LENGTH]
    if config.model_type == "doge":
        limits.append(config.keep_window_size)
    return min(limits)


def dropouts(config: Any) -> dict[str, float]:
    """Return the dropout probabilities above zero that a configuration has for training."""
    return {
        name: float(value)
        for name, value in vars(config).items()
        if "drop" in name and isinstance(value, float) and value > 0
    }
