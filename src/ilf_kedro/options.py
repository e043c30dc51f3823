"""Every parameter of the project at one glance: one model per pipeline, one for the whole.

Kedro builds these from conf/*/parameters_<pipeline>.yml for the nodes that name them; the whole is
checked before anything runs, so that a mistyped key at any depth is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.schemas import Options
from ilf_kedro.training.options import TrainingOptions

Arm = Literal["refinements", "human_summaries", "initial_summaries"]
RefinementMethod = Literal["refinement_with_feedback", "refinement_without_feedback"]
ScorerName = Literal[
    "random",
    "longest",
    "instruct_rm_1",
    "instruct_rm_2",
    "instruct_rm_3",
    "instruct_rm_4",
    "instruct_rm_5",
    "instruct_rm_ensemble",
]


class DataPrepOptions(Options):
    """What to do with invalid rows: stop, or set them aside with their reasons and go on."""

    on_invalid: Literal["stop", "quarantine"] = "stop"


class RefinementOptions(Options):
    """N refinements per example (paper: 5), sampled again once where they are degenerate.

    `max_tries` outputs at most are drawn per example (2N where null); a text that contains one of
    `forbidden` (case-insensitive) is degenerate.
    """

    n_refinements: int = Field(default=5, ge=1)
    sampling: SamplingOptions = SamplingOptions()
    max_tries: int | None = Field(default=None, ge=1)
    forbidden: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_tries(self) -> Self:
        if self.max_tries is not None and self.max_tries < self.n_refinements:
            raise ValueError(f"max_tries ({self.max_tries}) must be at least n_refinements ({self.n_refinements})")
        return self


class SelectionOptions(Options):
    """Which scorer's choice the refinements arm is finetuned on."""

    target_scorer: ScorerName = "instruct_rm_ensemble"


class RewardModelOptions(Options):
    """The reward model's training; `train_size` null means every comparison of the train split."""

    train_size: int | None = Field(default=None, ge=1)
    training: TrainingOptions = TrainingOptions()
    confidence: float = Field(default=0.95, gt=0, lt=1)


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
        if repeated := _repeated(arms):
            raise ValueError(f"each arm once, found {repeated} more often; name it once")
        return arms

    @field_validator("per_size")
    @classmethod
    def _check_per_size(cls, per_size: tuple[TrainingOverride, ...]) -> tuple[TrainingOverride, ...]:
        if repeated := _repeated([override.train_size for override in per_size]):
            raise ValueError(f"one entry per train_size, found several for {repeated}; put what they change into one")
        return per_size

    def training_for(self, train_size: int) -> TrainingOptions:
        """Return the training options with the overrides of `train_size`, if any, applied."""
        changes: dict[str, float] = {}
        for override in self.per_size:
            if override.train_size == train_size:
                changes |= override.model_dump(exclude_none=True, exclude={"train_size"})
        return self.training.model_copy(update=changes)


class ReportingOptions(Options):
    """Intervals' confidence, bootstrap resamples, and how many test posts are judged (null: all)."""

    confidence: float = Field(default=0.95, gt=0, lt=1)
    bootstrap_resamples: int = Field(default=2000, ge=100)
    n_judged: int | None = Field(default=None, ge=1)


class Parameters(Options):
    """The whole of conf/*/parameters*.yml.

    Seed and train sizes become names and cache keys as they are written: 8.0, "8" and true are refused.
    """

    seed: int = Field(ge=0, strict=True)
    train_sizes: tuple[Annotated[int, Field(strict=True)], ...]
    data_prep: DataPrepOptions
    refinement: RefinementOptions
    selection: SelectionOptions
    reward_model: RewardModelOptions
    finetune: FinetuneOptions
    reporting: ReportingOptions

    @field_validator("train_sizes")
    @classmethod
    def _check_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes or any(size < 1 for size in sizes) or list(sizes) != sorted(set(sizes)):
            raise ValueError(
                f"train_sizes must be one or more distinct positive numbers in ascending order, found {list(sizes)}"
            )
        return sizes

    @property
    def unused_sizes(self) -> tuple[int, ...]:
        """The sizes in `finetune.per_size` that nothing is trained at."""
        overridden = (override.train_size for override in self.finetune.per_size)
        return tuple(size for size in overridden if size not in self.train_sizes)


def _repeated(values: Sequence[object]) -> str:
    """Name each value that stands there more than once."""
    return ", ".join(str(value) for value in dict.fromkeys(values) if values.count(value) > 1)
