"""The options of the pipeline finetune."""

from __future__ import annotations

from pydantic import Field, field_validator

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.options.names import Arm, repeated_values
from ilf_kedro.schemas import Options
from ilf_kedro.training.options import TrainingOptions


class TrainingOverride(Options):
    """What differs from `finetune.training` at one train size (paper, appendix on hyperparameters)."""

    train_size: int = Field(ge=1)
    epochs: int | None = Field(default=None, ge=1)
    learning_rate_multiplier: float | None = Field(default=None, gt=0)
    prompt_loss_weight: float | None = Field(default=None, ge=0, le=1)


class FinetuneOptions(Options):
    """Arms × train sizes, how each is trained, and how its summaries of test posts are sampled.

    `best_of_n` summaries per test post are sampled from the largest refinements model, and the reward
    model's favourite is kept (paper: 64).
    """

    arms: tuple[Arm, ...] = Field(default=("refinements", "human_summaries", "initial_summaries"), min_length=1)
    training: TrainingOptions = TrainingOptions()
    per_size: tuple[TrainingOverride, ...] = ()
    sampling: SamplingOptions = SamplingOptions()
    best_of_n: int = Field(default=64, ge=2, le=64)

    @field_validator("arms")
    @classmethod
    def _check_arms(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        if repeated := repeated_values(arms):
            raise ValueError(f"each arm once, found {repeated} more often; name it once")
        return arms

    @field_validator("per_size")
    @classmethod
    def _check_per_size(cls, per_size: tuple[TrainingOverride, ...]) -> tuple[TrainingOverride, ...]:
        if repeated := repeated_values([override.train_size for override in per_size]):
            raise ValueError(f"one entry per train_size, found several for {repeated}; put what they change into one")
        return per_size

    def training_for(self, train_size: int) -> TrainingOptions:
        """Return the training options with the overrides of `train_size`, if any, applied."""
        changes: dict[str, float] = {}
        for override in self.per_size:
            if override.train_size == train_size:
                changes |= override.model_dump(exclude_none=True, exclude={"train_size"})
        return self.training.model_copy(update=changes)
