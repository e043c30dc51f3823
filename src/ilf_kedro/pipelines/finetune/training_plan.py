"""What a training gets to see: its examples, and the batches that make every arm's budget the same."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

from ilf_kedro.language_models.checkpoints.checkpoint import Format
from ilf_kedro.prompting import PromptTemplate, prompts_of
from ilf_kedro.schemas import DataFrame, Targets
from ilf_kedro.training.examples import TrainingExample, as_completion
from ilf_kedro.training.options import TrainingOptions

__all__ = ["TrainingPlan", "plan_training"]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The examples of one epoch, and how they are trained on."""

    examples: list[TrainingExample]
    options: TrainingOptions

    @property
    def n_steps(self) -> int:
        """The optimiser steps of the whole training."""
        return self.options.epochs * -(-len(self.examples) // self.options.batch_size)


def plan_training(
    targets: DataFrame[Targets],
    template: PromptTemplate,
    options: TrainingOptions,
    model_format: Format,
    *,
    train_size: int,
) -> TrainingPlan:
    """Plan a training that takes as many optimiser steps as any other on `train_size` examples.

    Where examples have up to k targets each, the batch is k times as large: a step is then on about as many inputs
    as in the other arms. Where so many examples lack a target that a step would be missing, the first ones are
    repeated in the epoch, as few as will do.
    """
    examples = [
        TrainingExample(prompt, as_completion(target, model_format))
        for prompt, target in zip(prompts_of(targets, template), targets["target"], strict=True)
    ]
    per_example = int(targets["example_id"].value_counts().max()) if len(targets) else 1
    batch_size = options.batch_size * per_example
    steps_per_epoch = -(-train_size // options.batch_size)
    fewest = (steps_per_epoch - 1) * batch_size + 1
    if examples and len(examples) < fewest:
        examples = list(islice(cycle(examples), fewest))
    return TrainingPlan(examples, options.model_copy(update={"batch_size": batch_size}))
