"""Every parameter of the project at one glance: one model per pipeline, one for the whole.

Kedro builds these from conf/*/parameters_<pipeline>.yml for the nodes that name them; the whole is
checked before anything runs, so that a mistyped key at any depth is refused.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ilf_kedro.options.data_prep import DataPrepOptions
from ilf_kedro.options.finetune import FinetuneOptions, TrainingOverride
from ilf_kedro.options.names import Arm, RefinementMethod, ScorerName
from ilf_kedro.options.refinement import RefinementOptions
from ilf_kedro.options.reporting import ReportingOptions
from ilf_kedro.options.reward_model import RewardModelOptions
from ilf_kedro.options.selection import SelectionOptions
from ilf_kedro.schemas import Options

__all__ = [
    "Arm",
    "DataPrepOptions",
    "FinetuneOptions",
    "Parameters",
    "RefinementMethod",
    "RefinementOptions",
    "ReportingOptions",
    "RewardModelOptions",
    "ScorerName",
    "SelectionOptions",
    "TrainingOverride",
]


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
