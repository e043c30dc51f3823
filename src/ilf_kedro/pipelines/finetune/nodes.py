"""Trains one model, and asks it for outputs and for the probability of the human ones."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel, TrainableModel
from ilf_kedro.language_models.tables import cleaning_of, completion_rows
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.finetune.training_plan import plan_training
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.prompting import PromptTemplate, prompts_of
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    LogLikelihoods,
    Outputs,
    Subsets,
    Targets,
    TrainingLog,
)
from ilf_kedro.training.examples import as_completion
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace


def finetune(
    base_model: TrainableModel,
    targets: DataFrame[Targets],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    workspace: TrainingWorkspace,
    *,
    train_size: int,
    label: str,
    arm: Arm | None = None,
) -> tuple[Checkpoint, DataFrame[TrainingLog]]:
    """Finetune the base model to answer each example's prompt with its target (paper, section 3.1).

    Every arm takes the same number of optimiser steps at a train size (see plan_training), unless
    `finetune.per_size` sets other epochs for one. The log counts the examples that have a target.
    """
    plan = plan_training(
        targets, template, options.training_for(train_size, arm), base_model.source.format, train_size=train_size
    )
    checkpoint = train_language_model(
        base_model.source, plan.examples, plan.options, seed=seed, workspace=workspace, label=label
    )
    log = training_log(checkpoint).assign(n_examples=targets["example_id"].nunique())
    return checkpoint, TrainingLog.validate(log)


def sample_base_outputs(
    base_model: LanguageModel,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    model_name: str,
    candidates: bool = False,
) -> DataFrame[Outputs]:
    """Let the model before any finetuning write one output of each test input, or the `best_of_n` candidates."""
    n = options.best_of_n if candidates else 1
    return _sample(base_model, examples, template, options, seed, n=n, model_name=model_name)


def sample_base_candidates(
    base_model: LanguageModel,
    examples: DataFrame[Examples],
    subsets: DataFrame[Subsets],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    model_name: str,
) -> DataFrame[Outputs]:
    """Let the model before any finetuning write `best_of_n` outputs of each input of the largest subset."""
    chosen = examples[examples["example_id"].isin(subsets["example_id"])]
    return _sample(base_model, chosen, template, options, seed, n=options.best_of_n, model_name=model_name)


def sample_outputs(
    base_model: TrainableModel,
    checkpoint: Checkpoint,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    model_name: str,
    candidates: bool = False,
) -> DataFrame[Outputs]:
    """Let a finetuned model write one output of each test input, or the `best_of_n` candidates of each."""
    model, n = base_model.with_checkpoint(checkpoint), options.best_of_n if candidates else 1
    return _sample(model, examples, template, options, seed, n=n, model_name=model_name)


def base_log_likelihoods(
    base_model: TrainableModel, examples: DataFrame[Examples], template: PromptTemplate, *, model_name: str
) -> DataFrame[LogLikelihoods]:
    """Return how probable the human test outputs are under the model before any finetuning."""
    return _human_log_likelihoods(base_model, examples, template, model_name)


def log_likelihoods(
    base_model: TrainableModel,
    checkpoint: Checkpoint,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    *,
    model_name: str,
) -> DataFrame[LogLikelihoods]:
    """Return how probable the human test outputs are under a finetuned model."""
    return _human_log_likelihoods(base_model.with_checkpoint(checkpoint), examples, template, model_name)


def _human_log_likelihoods(
    model: TrainableModel, examples: DataFrame[Examples], template: PromptTemplate, model_name: str
) -> DataFrame[LogLikelihoods]:
    """Sum the log-probabilities (nats) of each reference's tokens, the end token not counted.

    Examples without a reference are left out; there may be none that has one.
    """
    examples = Examples.validate(examples[examples["reference"].notna()])
    continuations = [as_completion(text, model.source.format) for text in examples["reference"]]
    answers = model.log_likelihood(
        prompts_of(examples, template), continuations, label=f"log-likelihoods, {model_name}"
    )
    rows = [
        {
            "example_id": example_id,
            "model": model_name,
            "text_kind": "reference",
            "log_likelihood": sum(answer.log_probabilities),
            "n_tokens": len(answer.log_probabilities),
        }
        for example_id, answer in zip(examples["example_id"], answers, strict=True)
    ]
    return LogLikelihoods.from_rows(rows)


def _sample(
    model: LanguageModel,
    examples: DataFrame[Examples],
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    *,
    n: int,
    model_name: str,
) -> DataFrame[Outputs]:
    prompts = prompts_of(examples, template)
    drawn = model.generate(prompts, range(n), options.sampling, seed=seed, label=f"outputs, {model_name}")
    rows = [{**row, "model": model_name} for row in completion_rows(prompts, drawn, cleaning_of(template))]
    return Outputs.validate(pd.DataFrame(rows)[Outputs.column_names()])
