"""The options of the pipelines reward_model and reward_model_comparison."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ilf_kedro.pipelines.names import each_once
from ilf_kedro.reward_models import RewardModelKind
from ilf_kedro.schemas import Options
from ilf_kedro.training.options import TrainingOptions


class ComparisonOptions(Options):
    """Which kinds of reward model, trained on how many comparisons, the pipeline reward_model_comparison compares."""

    kinds: tuple[RewardModelKind, ...] = Field(default=("yes_no", "classification", "a_b"), min_length=1)
    train_sizes: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = Field(default=(12, 24, 40), min_length=1)

    _each_once = each_once("kind", "kinds")

    @field_validator("train_sizes")
    @classmethod
    def _check_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if list(sizes) != sorted(set(sizes)):
            raise ValueError(f"distinct numbers in ascending order, found {list(sizes)}")
        return sizes


class RewardModelOptions(Options):
    """The reward model: its kind, and how it is trained.

    yes_no asks whether an output is excellent, a_b which of two is better, and classification puts a scalar
    head on the model; a_b reads the catalog's prompt.reward_model_a_b, the others prompt.reward_model. `trained`
    false takes the catalog's `reward_base_model` as it is: an API's model, or one released as a reward model.

    `train_size` null means every comparison of the train split. `training.batch_size` and `micro_batch_size`
    count outputs, two to a comparison, so that every kind makes equally many steps.
    """

    kind: RewardModelKind = "yes_no"
    trained: bool = True
    train_size: int | None = Field(default=None, ge=1)
    training: TrainingOptions = TrainingOptions()
    confidence: float = Field(default=0.95, gt=0, lt=1)
    comparison: ComparisonOptions = ComparisonOptions()

    @model_validator(mode="after")
    def _check_weight(self) -> RewardModelOptions:
        if self.kind == "classification" and self.training.prompt_loss_weight:
            raise ValueError(
                f"prompt_loss_weight is {self.training.prompt_loss_weight}, but a reward model of the kind "
                "classification has no loss on its prompt; set it to 0"
            )
        return self
