"""Training on from a finetuned model: its weights as a new base, and two adapters as one.

An adapter adds s·B·A to a weight (Hu et al. 2021), so the adapters of two trainings, one after the other, are one
of the sum of their ranks: s₁·B₁·A₁ + s₂·B₂·A₂ = [s₁B₁ s₂B₂]·[A₁; A₂].
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.local.loading import load_tokenizer, load_weights
from ilf_kedro.language_models.local.resident import LOADED_MODEL

__all__ = ["base_with_checkpoint", "join_adapters"]

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"


@contextmanager
def base_with_checkpoint(source: ModelSource, checkpoint: Checkpoint, scratch: Path) -> Iterator[ModelSource]:
    """Give the finetuned model as a base to train on; its revision is the checkpoint's content hash.

    A whole model is used where it lies. An adapter is merged in float32 into a folder below `scratch` that lasts
    as long as the context: about four bytes for every weight.
    """
    if checkpoint.record.kind == "full":
        yield _as_base(source, checkpoint, checkpoint.directory)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="merged-", dir=scratch))
    try:
        _write_merged(source, checkpoint, directory)
        yield _as_base(source, checkpoint, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def join_adapters(first: Path, second: Path, target: Path) -> None:
    """Write to `target` the adapter that does what `first` and then `second`, trained on top of it, do together.

    All three are folders as peft writes them. A module that only one of the two adapts keeps that one's part.

    Raises:
        ValueError: one is no plain LoRA adapter of linear layers.
    """
    parts = [_read(folder) for folder in (first, second)]
    (first_config, first_weights), (second_config, second_weights) = parts
    rank = sum(int(config["r"]) for config, _ in parts)
    joined = {}
    for name in sorted({*first_weights, *second_weights}):
        is_down = ".lora_A." in name
        pieces = []
        for config, weights in parts:
            piece = weights.get(name)
            if piece is None:  # a matrix of zeros adds nothing
                like = (first_weights | second_weights)[name]
                width = int(config["r"])
                piece = like.new_zeros((width, like.shape[1]) if is_down else (like.shape[0], width))
            pieces.append(piece.float() if is_down else piece.float() * _scaling(config))
        joined[name] = torch.cat(pieces, dim=0 if is_down else 1).contiguous()
    modules = sorted({*_modules(first_config), *_modules(second_config)})
    config = {**second_config, "r": rank, "lora_alpha": rank, "use_rslora": False, "target_modules": modules}
    target.mkdir(parents=True, exist_ok=True)
    save_file(joined, str(target / _WEIGHTS), metadata={"format": "pt"})
    (target / _CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _as_base(source: ModelSource, checkpoint: Checkpoint, directory: Path) -> ModelSource:
    return ModelSource(source.name, directory, checkpoint.record.content_hash, source.format, source.dtype)


def _write_merged(source: ModelSource, checkpoint: Checkpoint, directory: Path) -> None:
    LOADED_MODEL.release()  # one model in memory at a time
    load_weights(source, checkpoint, "float32", "cpu").save_pretrained(directory)
    load_tokenizer(source, None).save_pretrained(directory)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    weights = load_file(str(folder / _WEIGHTS))
    plain = all(".lora_A." in name or ".lora_B." in name for name in weights)
    patterned = config.get("rank_pattern") or config.get("alpha_pattern") or config.get("use_dora")
    if config.get("peft_type") != "LORA" or not plain or patterned:
        raise ValueError(f"{folder} holds no plain LoRA adapter of linear layers, so that it cannot be joined")
    return config, weights


def _scaling(config: dict[str, Any]) -> float:
    rank = float(config["r"])
    return float(config["lora_alpha"]) / (rank**0.5 if config.get("use_rslora") else rank)


def _modules(config: dict[str, Any]) -> list[str]:
    modules = config["target_modules"]
    return [modules] if isinstance(modules, str) else list(modules)
