"""The options of the pipeline finetune."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.pipelines.names import Arm, Chooser, each_once, repeated_values
from ilf_kedro.schemas import Options
from ilf_kedro.training.options import TrainingOptions


class TrainingOverride(Options):
    """What differs from `finetune.training` at one train size, of one arm or (null) of every arm.

    The paper has one set per train size for all arms (appendix on hyperparameters); the pipeline sweep finds one
    for each arm.
    """

    train_size: int = Field(ge=1)
    arm: Arm | None = None
    epochs: int | None = Field(default=None, ge=1)
    learning_rate_multiplier: float | None = Field(default=None, gt=0)
    prompt_loss_weight: float | None = Field(default=None, ge=0, le=1)


class FinetuneOptions(Options):
    """Arms × train sizes, how each is trained, and how its outputs of test inputs are sampled.

    `arms` null are those of refinements, references and initial_outputs whose texts the data have.
    `top_k` is how many refinements of each example the refinements arm learns from. `best_of_n` outputs
    per input are sampled from the model `best_of_n_from` (such as finetune.base; null: that of the most
    refinements), and the favourite of `best_of_n_by` is kept (paper: 64, by the reward model); null is the
    reward model, where the data have comparisons to train it on, and else no best-of-N. An output of the
    arm feedback_and_refinement has at most `joint_max_new_tokens`.
    """

    arms: Annotated[tuple[Arm, ...], Field(min_length=1)] | None = None
    training: TrainingOptions = TrainingOptions()
    per_size: tuple[TrainingOverride, ...] = ()
    sampling: SamplingOptions = SamplingOptions()
    top_k: int = Field(default=1, ge=1, strict=True)
    best_of_n: int = Field(default=64, ge=2, le=64)
    best_of_n_from: str | None = None
    best_of_n_by: Chooser | None = None
    joint_max_new_tokens: int = Field(default=160, ge=1)

    _each_once = each_once("arm", "arms")

    @field_validator("per_size")
    @classmethod
    def _check_per_size(cls, per_size: tuple[TrainingOverride, ...]) -> tuple[TrainingOverride, ...]:
        places = [f"{override.train_size}{f' of {override.arm}' if override.arm else ''}" for override in per_size]
        if repeated := repeated_values(places):
            raise ValueError(f"one entry per train_size, found several for {repeated}; put what they change into one")
        return per_size

    def training_for(self, train_size: int, arm: Arm | None = None) -> TrainingOptions:
        """Return the training options with the overrides of `train_size` applied, those of `arm` last."""
        changes: dict[str, float] = {}
        of_size = [override for override in self.per_size if override.train_size == train_size]
        for override in sorted(of_size, key=lambda override: override.arm is not None):
            if override.arm in (None, arm):
                changes |= override.model_dump(exclude_none=True, exclude={"train_size", "arm"})
        return self.training.model_copy(update=changes)
