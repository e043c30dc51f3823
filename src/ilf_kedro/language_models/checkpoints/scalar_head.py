"""The scalar head of a reward model: one number from the hidden state at the end of a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.checkpoints.configuration import training_config
from ilf_kedro.language_models.checkpoints.merging import merge_adapter
from ilf_kedro.language_models.checkpoints.weights import check_checkpoint, load_pretrained
from ilf_kedro.schemas import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HEAD = "score"
"""What transformers calls the head of a causal model for sequence classification."""


def score_states(states: Tensor, head: nn.Module) -> Tensor:
    """Return the scores (n,) of hidden states (n, width), computed in float32 whatever the model computes in."""
    weight: Any = head.weight
    with torch.autocast(states.device.type, enabled=False):
        scores: Tensor = nn.functional.linear(states.float(), weight.float())[:, 0]
    return scores


def load_classifier(source: ModelSource, checkpoint: Checkpoint | None, dtype: str) -> PreTrainedModel:
    """Return a model with its trained scalar head, as transformers loads it; an adapter is merged in float32.

    Raises:
        UserError: the model has no such head, or more than one number.
    """
    full = checkpoint is not None and checkpoint.record.kind == "full"
    directory = checkpoint.directory if checkpoint is not None and full else source.directory
    check_checkpoint(checkpoint)
    adapter = checkpoint if checkpoint is not None and not full else None
    target = getattr(torch, dtype)
    model = new_classifier(directory, torch.float32 if adapter else target, has_head=adapter is None)
    if adapter is not None:
        model = merge_adapter(model, adapter)
    weight = getattr(model, HEAD).weight.data  # float32, which the next line would round
    nn.Module.to(model, dtype=target)
    getattr(model, HEAD).weight.data = weight
    return model


def new_classifier(directory: Path, dtype: torch.dtype, *, has_head: bool = False) -> PreTrainedModel:
    """Load the weights in a directory under a scalar head: its own, or a new one drawn from torch's random state.

    The head has float32 weights.

    Raises:
        UserError: the directory's own head is asked for, and there is none of one number and no bias.
    """
    from transformers import AutoModelForSequenceClassification

    named = {} if has_head else {"config": training_config(directory, num_labels=1)}
    model = load_pretrained(
        AutoModelForSequenceClassification, directory, dtype, new=HEAD, unused="" if has_head else "lm_head", **named
    )
    head = getattr(model, HEAD, None)
    missing = has_head and not _has_tensor(directory, f"{HEAD}.weight")
    if not isinstance(head, nn.Linear) or head.out_features != 1 or head.bias is not None or missing:
        raise UserError(
            f"{directory} holds no reward model with a scalar head: expected weights {HEAD}.weight of one row under a "
            f"causal model, found {f'{head} without weights' if missing else head}. Name such a model, or set "
            "reward_model.trained to true, or reward_model.kind to yes_no"
        )
    head.float()
    config = model.config.get_text_config()
    if config.pad_token_id is None:  # asked for by transformers; without effect, for scores are taken at each end
        end = config.eos_token_id
        config.pad_token_id = end[0] if isinstance(end, list) else end if end is not None else 0
    return model


def _has_tensor(directory: Path, name: str) -> bool:
    """Tell whether some file of weights holds a tensor of this name."""
    for file in directory.glob("*.safetensors"):
        with safe_open(file, framework="pt") as stream:
            if name in stream.keys():  # noqa: SIM118  # no mapping
                return True
    return False
