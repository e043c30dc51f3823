"""The training loop: transformers' Trainer with a weighted loss.

Imported only where something is really trained, since importing transformers' trainer takes seconds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from accelerate import DistributedType, FullyShardedDataParallelPlugin
from peft import PeftModel
from rich.progress import Progress
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from ilf_kedro.language_models.checkpoints.configuration import training_config
from ilf_kedro.language_models.checkpoints.merging import fill_adapter
from ilf_kedro.language_models.checkpoints.weights import load_pretrained
from ilf_kedro.language_models.local.choosing import LanguageTrial, Trial
from ilf_kedro.language_models.local.rotary import RotaryLengths
from ilf_kedro.schemas import UserError
from ilf_kedro.training.encoding import EncodedExample
from ilf_kedro.training.errors import DivergedError
from ilf_kedro.training.step_sampling import StepSampler


def collate(examples: Sequence[EncodedExample]) -> dict[str, torch.Tensor]:
    """Pad on the right: input_ids and loss_weights, each (examples, longest). Padding weighs 0.

    A causal model's tokens see nothing that stands to their right, so padding needs no mask, and its
    token id does not matter.
    """
    longest = max(example.n_tokens for example in examples)
    input_ids = torch.zeros(len(examples), longest, dtype=torch.long)
    loss_weights = torch.zeros(len(examples), longest)
    for row, example in enumerate(examples):
        input_ids[row, : example.n_tokens] = torch.from_numpy(example.input_ids)
        loss_weights[row, : example.n_tokens] = torch.from_numpy(example.loss_weights)
    return {"input_ids": input_ids, "loss_weights": loss_weights}


class OptimiserStepTrainer(Trainer, ABC):
    """Trainer of a loss that is normalised over the whole optimiser batch.

    The batch is the micro-batches of one optimiser step over all processes, so neither the division
    into micro-batches nor the number of processes changes the loss. A subclass says what a batch counts
    (`weight_of`), its share of the loss (`compute_loss`), and which model it trains (`load`, and the task
    by which peft knows the model's head).
    """

    loss_is_scaled_for_ga = True
    lora_task: ClassVar[str]
    trial: ClassVar[type[Trial]]
    lengths: RotaryLengths
    collate: ClassVar[Callable[..., dict[str, torch.Tensor]]]

    @staticmethod
    @abstractmethod
    def load(directory: Path, dtype: torch.dtype) -> PreTrainedModel:
        """Return the model to train: the weights of a directory under the head that the loss needs."""

    @staticmethod
    @abstractmethod
    def weight_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return what the losses of a micro-batch are divided by, had it the optimiser step to itself."""

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, torch.Tensor]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
        """Return the micro-batches of one optimiser step, and their total weight over all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        total = sum((self.weight_of(batch) for batch in batches), torch.zeros(())).to(device)
        return batches, self.accelerator.reduce(total, reduction="sum")

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Let several processes see the examples in the order of one, the last batch filled up for all."""
        lengths = [example.n_tokens for example in cast(Any, self.train_dataset)]
        turn = self.args.per_device_train_batch_size * self.args.world_size
        batch_size = turn * self.args.gradient_accumulation_steps
        seed = cast(int, self.args.data_seed)
        if self.args.world_size == 1:
            return StepSampler(lengths, batch_size, seed)
        return StepSampler(lengths[:-1], batch_size, seed, multiple_of=turn)  # the last is the filler

    def _save_rng_state(self, output_dir: str) -> None:
        """Wait for the random states of all processes: what is written next says that the checkpoint is whole."""
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Put back every weight of a mid-run checkpoint; transformers' own loading passes over those it has renamed."""
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        directory, target = Path(resume_from_checkpoint), cast(nn.Module, self.model if model is None else model)
        if isinstance(target, PeftModel):
            fill_adapter(target, directory, "delete it, and the training begins anew")
        else:
            target.load_state_dict(self.load(directory, torch.float32).state_dict())

    def create_accelerator_and_postprocess(self) -> None:
        """Let accelerate divide the weights on CPUs too, where it ignores the wish in silence."""
        super().create_accelerator_and_postprocess()
        state = self.accelerator.state
        if self.args.fsdp and state.distributed_type == DistributedType.MULTI_CPU:
            state.distributed_type = DistributedType.FSDP
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            if self.args.bf16:
                state.fsdp_plugin.set_mixed_precision("bf16")
            self.is_fsdp_enabled = True

    def share(self, losses: torch.Tensor, own: torch.Tensor, total: torch.Tensor | int | None) -> torch.Tensor:
        """Return this micro-batch's share of the loss; the shares of one optimiser step add up to it.

        `losses` is the sum over the micro-batch, `own` its weight, `total` that of the optimiser step where known.
        """
        # Data-parallel processes average their gradients, while these shares are to be added up.
        if torch.is_grad_enabled() and not losses.requires_grad:  # Reformer's layers keep nothing for adapters
            trained = type(self.accelerator.unwrap_model(self.model)).__name__
            raise UserError(
                f"no weight that is trained takes part in the loss of {trained}: nothing could be learned. Set "
                "training.method to full, or name other layers in training.lora.target_modules"
            )
        loss: torch.Tensor = losses / (own if total is None else total) * self.accelerator.num_processes
        return loss

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        """Let the learning rate rise and fall as rate_factor says."""
        if self.lr_scheduler is None:
            factor = partial(rate_factor, n_steps=num_training_steps, warmup=int(self.args.warmup_steps))
            self.lr_scheduler = LambdaLR(cast(Optimizer, optimizer or self.optimizer), factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler


class WeightedLossTrainer(OptimiserStepTrainer):
    """Trainer of loss = Σ wᵢ·ceᵢ / Σ wᵢ over tokens.

    Only positions with a positive weight go through the language-model head.
    """

    lora_task = "CAUSAL_LM"
    trial = LanguageTrial
    collate = staticmethod(collate)

    @staticmethod
    def load(directory: Path, dtype: torch.dtype) -> PreTrainedModel:
        """Return a causal language model."""
        model: PreTrainedModel = load_pretrained(
            AutoModelForCausalLM, directory, dtype, config=training_config(directory)
        )
        return model

    @staticmethod
    def weight_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of the loss weights; no token predicts the first one."""
        return batch["loss_weights"][:, 1:].sum()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return this micro-batch's share of the loss."""
        input_ids, weights = inputs["input_ids"], inputs["loss_weights"][:, 1:]
        predicting = weights > 0  # the position before each weighted token
        self.lengths.reset()
        if self.lengths.matter:  # the last token predicts nothing, and does not count in sampling either
            input_ids = input_ids[:, :-1]
        logits = logits_at(model, self.accelerator.unwrap_model(model), input_ids, predicting)
        losses = nn.functional.cross_entropy(logits.float(), inputs["input_ids"][:, 1:][predicting], reduction="none")
        weights = weights[predicting]
        loss = self.share((losses * weights).sum(), weights.sum(), num_items_in_batch)
        return (loss, {"logits": logits}) if return_outputs else loss


def rate_factor(step: int, n_steps: int, warmup: int) -> float:
    """Return the share of the learning rate at a step (from 0): linear warm-up, then linear decay towards zero.

    No step of the training has a share of zero, which would waste it.
    """
    return min((step + 1) / (warmup + 1), (n_steps - step) / max(n_steps - warmup, 1))


def logits_at(
    model: nn.Module, language_model: PreTrainedModel | PeftModel, input_ids: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Return the logits, shape (selected, vocabulary), at the selected `positions` of (rows, length - 1).

    `model` is called, so that its wrappers (autocast, data parallelism) do their work; a hook before the
    head of the `language_model` inside hands over only the selected hidden states, whatever the architecture.
    """

    def select(_: nn.Module, hidden: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        return (hidden[0][:, : positions.shape[1]][positions][None],)

    hook = language_model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        logits: torch.Tensor = model(input_ids=input_ids, use_cache=False).logits
    finally:
        hook.remove()
    return logits[0]


class StepReporter(TrainerCallback):
    """Shows progress, counts the steps executed here, asks for mid-run saves, and stops where the loss diverges."""

    def __init__(self, progress: Progress, label: str, save_steps: int) -> None:
        self.executed_steps = 0
        self._progress = progress
        self._save_steps = save_steps
        self._label = label

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Open the display where the training (or its resumption) starts."""
        self._task = self._progress.add_task(self._label, total=state.max_steps, completed=state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Count, show, and save every `save_steps` steps but the last (then the finished model is saved)."""
        self.executed_steps += 1
        self._progress.update(self._task, completed=state.global_step)
        if state.global_step % self._save_steps == 0 and state.global_step < state.max_steps:
            control.should_save = True
        return control

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any) -> None:
        """Stop at a loss that is not a finite number.

        Raises:
            DivergedError: naming the step and what to change.
        """
        loss = others["logs"].get("loss", 0.0)
        if not math.isfinite(loss):
            raise DivergedError(
                f"{self._label}: the loss is {loss} at optimiser step {state.global_step} of {state.max_steps}, "
                "expected a finite number; lower learning_rate, or set dtype to float32"
            )
