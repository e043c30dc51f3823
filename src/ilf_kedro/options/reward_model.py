"""The options of the pipeline reward_model."""

from __future__ import annotations

from pydantic import Field

from ilf_kedro.schemas import Options
from ilf_kedro.training.options import TrainingOptions


class RewardModelOptions(Options):
    """The reward model's training; `train_size` null means every comparison of the train split."""

    train_size: int | None = Field(default=None, ge=1)
    training: TrainingOptions = TrainingOptions()
    confidence: float = Field(default=0.95, gt=0, lt=1)
