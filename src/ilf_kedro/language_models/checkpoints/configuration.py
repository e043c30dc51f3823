"""What a model's configuration says, read as transformers reads it, but without running any code of the directory."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilf_kedro.language_models.checkpoints.weights import unreadable

if TYPE_CHECKING:
    from transformers import PretrainedConfig

__all__ = ["context_length", "has_dropout", "load_config", "training_config"]

_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "context_length", "seq_length")
_WITHOUT_LENGTH = 2048  # tokens: state-space and ALiBi models name no limit; most saw so many in training


def load_config(directory: Path) -> PretrainedConfig:
    """Return the configuration (transformers) in a directory, with the defaults of its architecture.

    Raises:
        ModelDirectoryError: config.json cannot be read, or needs code that lies in the directory.
    """
    file = directory / "config.json"
    return _load(file, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=64)
def _load(file: Path, modified: int) -> PretrainedConfig:
    from transformers import AutoConfig

    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            str(file.parent), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever transformers makes of a file that it does not understand
        raise unreadable(file, "a model's configuration", error) from error
    return config


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


def has_dropout(directory: Path) -> bool:
    """Tell whether the configuration in a directory has dropout for training, which is switched off here."""
    return (directory / "config.json").is_file() and bool(_dropouts(load_config(directory)))


def training_config(directory: Path, **changes: Any) -> PretrainedConfig:
    """Return the configuration in a directory without dropout: its draws would depend on how a batch is divided."""
    config = copy.deepcopy(load_config(directory))
    for owner, name in _dropouts(config):
        setattr(owner, name, 0.0)
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def _dropouts(config: Any) -> list[tuple[Any, str]]:
    """Return where a configuration, or one inside it, has a dropout probability above zero."""
    found = []
    for name, value in vars(config).items():
        if hasattr(value, "model_type"):
            found += _dropouts(value)
        elif "drop" in name and isinstance(value, float) and value > 0:
            found.append((config, name))
    return found
