"""Adapters as peft has them: put into the weights that they were trained on."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.schemas import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["merge_adapter", "quiet_peft", "refuse_tied_adapter"]

_WEIGHTS = "adapter_model.safetensors"


def merge_adapter(model: PreTrainedModel, adapter: Checkpoint) -> PreTrainedModel:
    """Return the model with a trained adapter added to its weights; these should be float32.

    Raises:
        ModelDirectoryError: the adapter's weights are damaged, or not for this model.
        UserError: it adapts weights that two layers share.
    """
    from peft import PeftModel, get_peft_model_state_dict

    file = adapter.directory / _WEIGHTS
    found = _read_names(file)
    try:
        with quiet_peft():
            adapted = PeftModel.from_pretrained(model, str(adapter.directory))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of many kinds, each of them about the adapter
        said = " ".join(str(error).split())[:400]
        raise ModelDirectoryError(f"{file} does not fit {type(model).__name__} ({said}); {_remedy(adapter)}") from error
    expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    if found != expected:
        differ = ", ".join(sorted(found ^ expected)[:3])
        raise ModelDirectoryError(
            f"{file} holds other weights than its adapter has in {type(model).__name__}: {len(expected - found)} are "
            f"missing and {len(found - expected)} unknown, such as {differ}; {_remedy(adapter)}"
        )
    refuse_tied_adapter(adapted)
    merged: PreTrainedModel = adapted.merge_and_unload()
    return merged


def refuse_tied_adapter(model: torch.nn.Module) -> None:
    """Refuse adapters on weights that two layers share: merged, they would change the layer that was not adapted.

    Raises:
        UserError: naming the layers, and what to do.
    """
    owners = Counter(
        id(weight) for module in model.modules() for weight in module.parameters(recurse=False) if weight.ndim == 2
    )
    tied = [
        name
        for name, module in model.named_modules()
        if owners[id(getattr(getattr(module, "base_layer", None), "weight", None))] > 1
    ]
    if tied:
        names = ", ".join(name.rpartition(".")[2] for name in tied)
        raise UserError(
            f"an adapter on {names} would change the embeddings and the head alike, which share their weights in this "
            "model: what is sampled would not be what was trained. Leave it out of training.lora.target_modules (as "
            "all-linear does), or set training.method to full"
        )


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Keep peft from warning of what it does itself, and of what is refused here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated")
        warnings.filterwarnings("ignore", ".*tie_word_embeddings")
        warnings.filterwarnings("ignore", ".*missing adapter keys")
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to False")
        warnings.filterwarnings("ignore", ".*_pattern keys did not match")
        yield


def _read_names(file: Path) -> set[str]:
    """Return the names of an adapter's tensors, whose values must be numbers."""
    try:
        with safe_open(file, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        raise ModelDirectoryError(
            f"{file} is no whole safetensors file ({error}); delete this training and run it again"
        ) from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelDirectoryError(
                f"{file} has values that are no numbers (NaN) in {name}; delete this training and run it again"
            )
    return set(tensors)


def _remedy(adapter: Checkpoint) -> str:
    record = adapter.record
    return f"load it on the model that it was trained on ({record.base_model}, revision {record.base_revision[:12]})"
