"""Trains the reward model, and holds its rewards against the validation split's comparisons."""

from __future__ import annotations

import dataclasses

import pandas as pd

from ilf_kedro.evaluation.reward_models import calibration, pairwise_accuracy, probability_preferred
from ilf_kedro.language_models.checkpoint import Checkpoint
from ilf_kedro.language_models.local import LocalLanguageModel
from ilf_kedro.options import RewardModelOptions
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import (
    Comparisons,
    DataFrame,
    Reliability,
    RewardModelAccuracy,
    RewardPredictions,
    TrainingLog,
    UserError,
    text_or_empty,
)
from ilf_kedro.training.reward_model import SummaryToScore, reward_examples, score_summaries
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

LABEL = "reward_model"


def train_reward_model(
    reward_base_model: LocalLanguageModel,
    comparisons: DataFrame[Comparisons],
    template: PromptTemplate,
    options: RewardModelOptions,
    seed: int,
    workspace: TrainingWorkspace,
) -> tuple[Checkpoint, DataFrame[TrainingLog]]:
    """Train a causal language model to answer Yes for preferred summaries and No for the others.

    Raises:
        UserError: fewer comparisons than train_size, or none.
    """
    size = len(comparisons) if options.train_size is None else options.train_size
    if not 1 <= size <= len(comparisons):
        raise UserError(
            f"reward_model.train_size is {size}, but the train split has {len(comparisons)} comparisons; "
            "lower it, set it to null for all, or add generated_summary_for_comparison_A/_B and "
            "comparison_preference to the split's file"
        )
    examples = reward_examples(comparisons.head(size), template)
    checkpoint = train_language_model(
        reward_base_model.source, examples, options.training, seed=seed, workspace=workspace, label=LABEL
    )
    return checkpoint, training_log(checkpoint)


def predict_preferences(
    reward_base_model: LocalLanguageModel,
    checkpoint: Checkpoint,
    comparisons: DataFrame[Comparisons],
    template: PromptTemplate,
) -> DataFrame[RewardPredictions]:
    """Score both summaries of every comparison, each without knowledge of the other."""
    rows = [
        SummaryToScore(row["example_id"], text_or_empty(row["title"]), row["post"], row[column])
        for _, row in comparisons.iterrows()
        for column in ("summary_a", "summary_b")
    ]
    rewards = score_summaries(reward_base_model.with_checkpoint(checkpoint), template, rows)
    table = comparisons[["example_id", "preferred"]].copy()
    table["reward_a"], table["reward_b"] = rewards[::2], rewards[1::2]
    table["p_a_preferred"] = probability_preferred(table["reward_a"], table["reward_b"])
    return RewardPredictions.validate(table)


def evaluate_predictions(
    predictions: DataFrame[RewardPredictions], checkpoint: Checkpoint, options: RewardModelOptions
) -> tuple[DataFrame[RewardModelAccuracy], DataFrame[Reliability]]:
    """Measure accuracy with its Wilson interval, and calibration where there are comparisons enough."""
    prefers_a = predictions["preferred"] == "a"
    better = predictions["reward_a"].where(prefers_a, predictions["reward_b"])
    worse = predictions["reward_b"].where(prefers_a, predictions["reward_a"])
    accuracy = pairwise_accuracy(better, worse, confidence=options.confidence)
    calibrated = calibration(predictions["p_a_preferred"], prefers_a)
    row = {
        "split": "validation",
        "n_train": checkpoint.record.n_examples // 2,
        **dataclasses.asdict(accuracy),
        "confidence": options.confidence,
        "expected_calibration_error": calibrated.expected_error,
        "calibration_verdict": calibrated.verdict or None,
    }
    return RewardModelAccuracy.validate(pd.DataFrame([row])), Reliability.validate(calibrated.curve)
