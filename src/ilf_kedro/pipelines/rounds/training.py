"""Trains the model of a round: from the base model, or on from the last round's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Literal

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import TrainableModel
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.finetune.training_plan import TrainingPlan, plan_training
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import DataFrame, RoundModels, RoundTargets, Targets, TrainingLog
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

Trained = tuple[Checkpoint, DataFrame[TrainingLog], DataFrame[RoundModels]]


def train_from_base(
    base_model: TrainableModel,
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    workspace: TrainingWorkspace,
    first: DataFrame[RoundTargets],
    *later: DataFrame[RoundTargets],
    model: str,
    mode: Literal["one_round", "from_scratch"],
    round: int,  # noqa: A002  # the design's word
    train_size: int,
) -> Trained:
    """Train the base model on as many targets as the rounds from 0 to `round` have together.

    In one round, all of them are of `first`, which has enough for every round; from scratch, only those of
    round 0 are, and `later` has those of every round since.
    """
    targets = _of_rounds([first], round) if mode == "one_round" else _of_rounds([_of_rounds([first], 0), *later], round)
    plan = _plan(base_model, targets, template, options, train_size)
    checkpoint = train_language_model(
        base_model.source, plan.examples, plan.options, seed=seed, workspace=workspace, label=model
    )
    row = _describe(model, mode, round, train_size, targets, checkpoint.record.n_steps)
    return checkpoint, _log(checkpoint, targets), row


def train_further(
    base_model: TrainableModel,
    template: PromptTemplate,
    options: FinetuneOptions,
    seed: int,
    workspace: TrainingWorkspace,
    previous: Checkpoint,
    described: DataFrame[RoundModels],
    targets: DataFrame[RoundTargets],
    *,
    model: str,
    round: int,  # noqa: A002  # the design's word
    size: int,
    train_size: int,
) -> Trained:
    """Train the last round's model on the targets of this round alone, with fresh adapters where it has some.

    The checkpoint is relative to the base model again: both rounds' adapters as one, or the whole weights.
    """
    from ilf_kedro.language_models.local.adapters import base_with_checkpoint

    plan = _plan(base_model, targets, template, options, size)
    with base_with_checkpoint(base_model.source, previous, workspace.directory) as source:
        trained = train_language_model(source, plan.examples, plan.options, seed=seed, workspace=workspace, label=model)
    checkpoint = _join(base_model, previous, trained, workspace)
    last = described.iloc[0]
    row = _describe(model, "continue", round, train_size, targets, int(last["n_steps"]) + trained.record.n_steps)
    sources = dict.fromkeys([*last["feedback_source"].split(", "), *row["feedback_source"].iloc[0].split(", ")])
    row = row.assign(n_targets=row["n_targets"] + int(last["n_targets"]), feedback_source=", ".join(sources))
    return checkpoint, _log(checkpoint, targets), RoundModels.validate(row)


def _join(
    base_model: TrainableModel, previous: Checkpoint, trained: Checkpoint, workspace: TrainingWorkspace
) -> Checkpoint:
    """Return what both trainings did as one checkpoint of the base model."""
    from ilf_kedro.language_models.local.adapters import join_adapters

    if trained.record.kind == "full":
        return trained
    hashes = f"{previous.record.content_hash}+{trained.record.content_hash}"
    content_hash = hashlib.sha256(hashes.encode()).hexdigest()
    with workspace.lock(content_hash):
        found = workspace.find(content_hash)
        if found is not None:
            return found
        own = {"content_hash": content_hash, "base_revision": base_model.source.revision}
        write = partial(join_adapters, previous.directory, trained.directory)
        return workspace.publish(trained.record.model_copy(update=own), write)


def _of_rounds(tables: Sequence[DataFrame[RoundTargets]], last: int) -> DataFrame[RoundTargets]:
    """Put together the rows of the rounds from 0 to `last`."""
    rows = pd.concat(list(tables), ignore_index=True)
    return RoundTargets.validate(rows[rows["round"] <= last].reset_index(drop=True))


def _plan(
    base_model: TrainableModel,
    targets: DataFrame[RoundTargets],
    template: PromptTemplate,
    options: FinetuneOptions,
    train_size: int,
) -> TrainingPlan:
    settings = options.training_for(train_size, "refinements")
    plain = Targets.validate(targets.drop(columns=["round", "feedback_source"]))
    return plan_training(plain, template, settings, base_model.source.format, train_size=train_size)


def _describe(
    model: str, mode: str, number: int, train_size: int, targets: DataFrame[RoundTargets], n_steps: int
) -> DataFrame[RoundModels]:
    row = {
        "model": model,
        "mode": mode,
        "round": number,
        "train_size": train_size,
        "n_targets": len(targets),
        "n_steps": n_steps,
        "feedback_source": ", ".join(dict.fromkeys(targets["feedback_source"])),
    }
    return RoundModels.validate(pd.DataFrame([row]))


def _log(checkpoint: Checkpoint, targets: DataFrame[RoundTargets]) -> DataFrame[TrainingLog]:
    return TrainingLog.validate(training_log(checkpoint).assign(n_examples=len(targets)))
