"""How to train: the options shared by finetuning and reward models."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ilf_kedro.language_models.checkpoints.checkpoint import Dtype
from ilf_kedro.schemas import Options


class LoraOptions(Options):
    """Low-rank adapters (Hu et al. 2021) on the named linear layers; "all-linear" means every one."""

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"


class TrainingOptions(Options):
    """One training. The learning rate used is learning_rate × learning_rate_multiplier ÷ 0.1.

    The multiplier is the paper's (relative to an undisclosed base, so only ratios are comparable);
    `prompt_loss_weight` is w in loss = Σ wᵢ·ceᵢ / Σ wᵢ, where completion tokens weigh 1. `batch_size` is
    the global one; at most `micro_batch_size` examples are computed at a time, which costs memory and changes
    no result (but with `lora.dropout`). The rate rises linearly over `warmup_fraction` of the steps, then falls
    linearly towards zero. `retrain` trains even where a complete checkpoint with the same content hash exists.

    `processes` of this machine share the work of each optimiser step, one GPU each where there are GPUs: every
    one has the whole model (ddp) or a share of it (fsdp). Neither changes what is computed but for rounding.
    """

    method: Literal["lora", "full"] = "lora"
    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=8, ge=1)
    micro_batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    learning_rate_multiplier: float = Field(default=0.1, gt=0)
    warmup_fraction: float = Field(default=0.0, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_gradient_norm: float = Field(default=1.0, gt=0)
    prompt_loss_weight: float = Field(default=0.0, ge=0, le=1)
    max_tokens: int = Field(
        default=1024, ge=16, description="prompt and completion; the input is truncated, never the label"
    )
    dtype: Dtype = "auto"
    lora: LoraOptions = LoraOptions()
    save_steps: int = Field(default=50, ge=1, description="optimiser steps between resumable checkpoints")
    retrain: bool = False
    processes: int = Field(default=1, ge=1, strict=True)
    parallelism: Literal["ddp", "fsdp"] = "ddp"

    @model_validator(mode="after")
    def _check_processes(self) -> Self:
        if self.batch_size % self.processes:
            raise ValueError(
                f"batch_size is {self.batch_size}, which cannot be divided evenly among {self.processes} processes; "
                "make it a multiple of processes"
            )
        return self
