"""The options of the pipeline sweep."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ilf_kedro.pipelines.names import Arm, each_once
from ilf_kedro.schemas import Options

Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0, le=1)]


class SweepOptions(Options):
    """The values to try (paper, appendix on hyperparameters), the same for every arm.

    The design one_factor changes one option at a time from those that `finetune` has for the train size, which
    are the first trial; grid tries every combination. Each trial is trained with `n_seeds` seeds. The winner of
    an arm has the lowest negative log-likelihood per token on the development split: of the references,
    or of the arm's own kind of targets. `train_size` null means the smallest of `train_sizes`, `arms` null
    those of `finetune`.
    """

    arms: Annotated[tuple[Arm, ...], Field(min_length=1)] | None = None
    train_size: int | None = Field(default=None, ge=1)
    design: Literal["one_factor", "grid"] = "one_factor"
    epochs: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = (1, 2, 3, 4)
    prompt_loss_weight: tuple[Weight, ...] = (0.0, 0.01, 0.05, 0.1)
    learning_rate_multiplier: tuple[Positive, ...] = (0.02, 0.05, 0.1, 0.2)
    n_seeds: int = Field(default=1, ge=1)
    chosen_by: Literal["references", "own_targets"] = "references"

    _each_once = each_once("value", "arms", "epochs", "prompt_loss_weight", "learning_rate_multiplier")

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        factors = {name: getattr(self, name) for name in ("epochs", "prompt_loss_weight", "learning_rate_multiplier")}
        if empty := [name for name, values in factors.items() if not values and self.design == "grid"]:
            raise ValueError(f"a grid needs at least one value of every option, found none of {', '.join(empty)}")
        return self
