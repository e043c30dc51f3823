"""Trains one reward model of the comparison, and puts the predictions of all into tables."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation.reward_breakdown import breakdown
from ilf_kedro.evaluation.reward_models import accuracy_row
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel, TokenCounter
from ilf_kedro.pipelines.reward_model.nodes import predictions, train_kind
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import RewardModelKind, open_reward_model
from ilf_kedro.schemas import (
    Comparisons,
    DataFrame,
    RewardModelAccuracies,
    RewardModelBreakdowns,
    RewardPredictions,
    TrainingLog,
)
from ilf_kedro.training.workspace import TrainingWorkspace


def train(
    reward_base_model: LanguageModel,
    comparisons: DataFrame[Comparisons],
    template: PromptTemplate,
    options: RewardModelOptions,
    seed: int,
    workspace: TrainingWorkspace,
    *,
    kind: RewardModelKind,
    train_size: int,
    label: str,
) -> tuple[Checkpoint, DataFrame[TrainingLog]]:
    """Train a reward model of a kind on the first comparisons, as `reward_model.training` says."""
    checkpoint = train_kind(
        kind, train_size, reward_base_model, comparisons, template, options, seed, workspace, label=label
    )
    return checkpoint, training_log(checkpoint)


def predict(
    reward_base_model: LanguageModel,
    checkpoint: Checkpoint,
    template: PromptTemplate,
    comparisons: DataFrame[Comparisons],
    base_model: TokenCounter,
    *,
    kind: RewardModelKind,
) -> DataFrame[RewardPredictions]:
    """Reward both outputs of every held-out comparison."""
    return predictions(open_reward_model(kind, reward_base_model, template, checkpoint), comparisons, base_model)


def evaluate(
    options: RewardModelOptions, *predicted: DataFrame[RewardPredictions]
) -> tuple[DataFrame[RewardModelAccuracies], DataFrame[RewardModelBreakdowns]]:
    """Measure accuracy, calibration and biases of every reward model.

    The predictions come in the order of the kinds and, within a kind, of the train sizes.
    """
    chosen = options.comparison
    names = [(kind, size) for kind in chosen.kinds for size in chosen.train_sizes]
    accuracies, breakdowns = [], []
    for (kind, size), table in zip(names, predicted, strict=True):
        accuracies.append({"kind": kind, **accuracy_row(table, n_train=size, confidence=options.confidence)})
        breakdowns.append(breakdown(table, confidence=options.confidence).assign(kind=kind, n_train=size))
    return (
        RewardModelAccuracies.validate(pd.DataFrame(accuracies)),
        RewardModelBreakdowns.validate(pd.concat(breakdowns, ignore_index=True)),
    )
