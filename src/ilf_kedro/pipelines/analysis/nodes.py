"""Measures one finetuned model against the base model, and the base model on every arm's targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ilf_kedro.evaluation.divergence import sample_terms
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import Context, TrainableModel
from ilf_kedro.pipelines.analysis.options import AnalysisOptions
from ilf_kedro.prompting import PromptTemplate, prompts_of
from ilf_kedro.schemas import (
    ArmTargets,
    DataFrame,
    DivergenceSamples,
    Examples,
    TargetLogLikelihoods,
    Targets,
    UserError,
)
from ilf_kedro.schemas.names import BASE_MODEL
from ilf_kedro.training.examples import as_completion


def measure_divergences(
    base_model: TrainableModel,
    checkpoint: Checkpoint,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    options: AnalysisOptions,
    seed: int,
    *,
    model_name: str,
) -> DataFrame[DivergenceSamples]:
    """Sample from the base and the finetuned model, after test inputs and unconditionally, and score under both.

    Raises:
        UserError: the two models tokenise a prompt differently.
    """
    base, tuned = base_model.token_scoring, base_model.with_checkpoint(checkpoint).token_scoring
    prompts = prompts_of(examples, template)
    inputs = base.contexts(prompts, options.max_new_tokens)
    starts = base.beginnings(options.unconditional_samples)
    _check_same_tokens(inputs, tuned.contexts(prompts, options.max_new_tokens), model_name)
    tables = []
    # The direction is the outer loop, so that weights are loaded as seldom as can be.
    for direction, sampler, other in (("forward", base, tuned), ("backward", tuned, base)):
        for condition, contexts, n_samples, max_new_tokens in (
            ("test_inputs", inputs, options.samples_per_input, options.max_new_tokens),
            ("unconditional", starts, 1, options.unconditional_tokens),
        ):
            label = f"{direction} divergence, {model_name}, {condition.replace('_', ' ')}"
            terms = sample_terms(
                sampler, other, contexts, n_samples=n_samples, max_new_tokens=max_new_tokens, seed=seed, label=label
            )
            tables.append(terms.assign(model=model_name, condition=condition, direction=direction))
    table = pd.concat(tables, ignore_index=True)
    return DivergenceSamples.validate(table[DivergenceSamples.column_names()])


def measure_targets(
    base_model: TrainableModel,
    checkpoint: Checkpoint,
    targets: DataFrame[ArmTargets],
    template: PromptTemplate,
    *,
    model_name: str,
    arm: str,
    split: str,
) -> DataFrame[TargetLogLikelihoods]:
    """Return how probable a finetuned model finds the held-out targets of its own arm."""
    model = base_model.with_checkpoint(checkpoint)
    own = targets[targets["arm"] == arm]
    return _log_likelihoods(model, own, template, model_name=model_name, arm=arm, split=split)


def measure_base_targets(
    base_model: TrainableModel,
    targets: DataFrame[ArmTargets],
    template: PromptTemplate,
    *,
    arms: Sequence[str],
    split: str,
    **train_targets: DataFrame[Targets],
) -> DataFrame[TargetLogLikelihoods]:
    """Return how probable the base model finds every arm's held-out targets, and its train targets at each size.

    `train_targets` are named by arm and size, such as refinements.n100.
    """
    tables = [
        _log_likelihoods(
            base_model, targets[targets["arm"] == arm], template, model_name=BASE_MODEL, arm=arm, split=split
        )
        for arm in arms
    ]
    for name, table in train_targets.items():
        arm, _, size = name.rpartition(".n")
        measured = _log_likelihoods(base_model, table, template, model_name=BASE_MODEL, arm=arm, split="train")
        tables.append(measured.assign(train_size=float(size)))
    return TargetLogLikelihoods.validate(pd.concat(tables, ignore_index=True))


def _log_likelihoods(
    model: TrainableModel,
    targets: pd.DataFrame,
    template: PromptTemplate,
    *,
    model_name: str,
    arm: str,
    split: str,
) -> DataFrame[TargetLogLikelihoods]:
    """Sum the log-probabilities (nats) of each target's tokens, the end token not counted."""
    continuations = [as_completion(text, model.source.format) for text in targets["target"]]
    label = f"likelihood of {split} {arm.replace('_', ' ')}, {model_name}"
    answers = model.log_likelihood(prompts_of(targets, template), continuations, label=label)
    table = pd.DataFrame(
        {
            "model": model_name,
            "arm": arm,
            "split": split,
            "train_size": np.nan,
            "example_id": targets["example_id"],
            "log_likelihood": [sum(answer.log_probabilities) for answer in answers],
            "n_tokens": [len(answer.log_probabilities) for answer in answers],
        }
    )
    return TargetLogLikelihoods.validate(table)


def _check_same_tokens(base: Sequence[Context], tuned: Sequence[Context], model_name: str) -> None:
    for left, right in zip(base, tuned, strict=True):
        if left != right:
            raise UserError(
                f"the base model and {model_name} tokenise the prompt of example {left.example_id!r} differently, so "
                "no divergence between them is defined: the checkpoint is of another base model; "
                "run `kedro run --pipelines finetune` again"
            )
