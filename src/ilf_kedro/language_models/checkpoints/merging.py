"""Adapters as peft has them: put into the weights that they were trained on."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.schemas import UserError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

__all__ = ["fill_adapter", "merge_adapter", "quiet_peft", "refuse_tied_adapter"]

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_FROZEN = ".base_layer."  # of weights that peft writes beside adapters of embeddings, and of adapters inside others


def merge_adapter(model: PreTrainedModel, adapter: Checkpoint) -> PreTrainedModel:
    """Return the model with a trained adapter added to its weights; these should be float32.

    Raises:
        ModelDirectoryError: the adapter's weights are damaged, or not for this model.
        UserError: it adapts weights that two layers share.
    """
    from peft import PeftConfig, get_peft_model

    try:
        config = PeftConfig.from_pretrained(str(adapter.directory))
        config.base_model_name_or_path = None  # peft would warn that it is a name here, and a path there
        with quiet_peft():
            adapted = get_peft_model(model, config)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of many kinds, each of them about the adapter
        said = " ".join(str(error).split())[:400]
        raise ModelDirectoryError(
            adapter.directory / _CONFIG, f"does not fit {type(model).__name__} ({said}); {_remedy(adapter)}"
        ) from error
    fill_adapter(adapted, adapter.directory, _remedy(adapter))
    refuse_tied_adapter(adapted)
    merged: PreTrainedModel = adapted.merge_and_unload()
    return merged


def fill_adapter(adapted: PeftModel, directory: Path, remedy: str) -> None:
    """Put the weights that peft saved in a directory into the layers of the names that they were saved under.

    peft's own loading renames them as if they came from an older release of transformers, and passes over those that
    then fit nowhere. `remedy` ends the messages.

    Raises:
        ModelDirectoryError: the file is damaged, or holds other tensors than the adapter has.
    """
    from peft import get_peft_model_state_dict

    file = directory / _WEIGHTS
    own = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    saved = {name: weight for name, weight in _read(file).items() if name in own or _FROZEN not in name}
    faults = [
        *(f"lacks {name}" for name in own.keys() - saved.keys()),
        *(f"has {name}, which is not known there" for name in saved.keys() - own.keys()),
        *(
            f"has {name} in the shape {list(saved[name].shape)}, expected {list(own[name].shape)}"
            for name in own.keys() & saved.keys()
            if own[name].shape != saved[name].shape
        ),
    ]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        of = type(adapted.get_base_model()).__name__
        raise ModelDirectoryError(file, f"is no adapter of {of}: it {min(faults)}{more}; {remedy}")
    for name, weight in saved.items():
        own[name].copy_(weight)


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


def _read(file: Path) -> dict[str, torch.Tensor]:
    """Return an adapter's tensors by name, whose values must be numbers."""
    again = "delete this training and run it again"
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelDirectoryError(file, f"is no whole safetensors file ({error}); {again}") from error
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelDirectoryError(file, f"has values that are no numbers (NaN) in {name}; {again}")
    return tensors


def _remedy(adapter: Checkpoint) -> str:
    record = adapter.record
    return f"load it on the model that it was trained on ({record.base_model}, revision {record.base_revision[:12]})"
