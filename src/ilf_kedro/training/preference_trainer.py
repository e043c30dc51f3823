"""The loss of reward models with a scalar head, in the same training loop.

Imported only where something is really trained (see trainer.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from ilf_kedro.language_models.checkpoints.scalar_head import HEAD, new_classifier, score_states
from ilf_kedro.language_models.local.choosing import StatesTrial
from ilf_kedro.training.encoding import EncodedPair
from ilf_kedro.training.trainer import OptimiserStepTrainer


def collate_pairs(pairs: Sequence[EncodedPair]) -> dict[str, torch.Tensor]:
    """Pad on the right: input_ids (2 × pairs, longest), each preferred one before its other.

    With them come their lengths (2 × pairs,), and the weights of the pairs (pairs,).

    A causal model's tokens see nothing that stands to their right, so padding needs no mask, and its
    token id does not matter.
    """
    rows = [row for pair in pairs for row in (pair.preferred, pair.other)]
    lengths = torch.tensor([len(row) for row in rows])
    input_ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for place, row in enumerate(rows):
        input_ids[place, : len(row)] = torch.from_numpy(row)
    weights = torch.tensor([pair.weight for pair in pairs])
    return {"input_ids": input_ids, "lengths": lengths, "weights": weights}


class PreferenceTrainer(OptimiserStepTrainer):
    """Trainer of loss = mean of −log σ(r_preferred − r_other) over pairs (Stiennon et al. 2020, equation 1).

    A pair stays together, and both of its outputs go through the model in one batch.
    """

    trial = StatesTrial
    lora_task = "SEQ_CLS"  # peft then trains the new head, and keeps it with the adapter
    collate = staticmethod(collate_pairs)

    @staticmethod
    def load(directory: Path, dtype: torch.dtype) -> PreTrainedModel:
        """Return a sequence classifier with a new scalar head, drawn from torch's random state."""
        return new_classifier(directory, dtype)

    @staticmethod
    def weight_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the number of pairs."""
        return batch["weights"].sum()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return this micro-batch's share of the loss."""
        lengths = inputs["lengths"]
        scores = scores_at(model, self.accelerator.unwrap_model(model), inputs["input_ids"], lengths - 1)
        weights = inputs["weights"]
        losses = nn.functional.softplus(scores[1::2] - scores[::2]) * weights
        loss = self.share(losses.sum(), weights.sum(), num_items_in_batch)
        return (loss, {"scores": scores}) if return_outputs else loss


def scores_at(
    model: nn.Module, classifier: PreTrainedModel | PeftModel, input_ids: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Return the float32 score of each row, shape (rows,), at its position.

    `model` is called, so that its wrappers (autocast, data parallelism) do their work. A hook on the head of
    the `classifier` inside scores the hidden state that was asked for, in float32, and gives the library that
    one score at every position: which of them it takes for the last, by looking for padding, does not matter.
    """
    rows = torch.arange(len(positions), device=input_ids.device)

    def score(head: nn.Module, hidden: tuple[torch.Tensor, ...], _: torch.Tensor) -> torch.Tensor:
        states = hidden[0]
        scores = score_states(states[rows, positions], head)
        return scores[:, None, None].expand(len(scores), states.shape[1], 1)

    hook = getattr(classifier, HEAD).register_forward_hook(score)
    try:
        scores: torch.Tensor = model(input_ids=input_ids, use_cache=False).logits
    finally:
        hook.remove()
    return scores[:, 0]
