"""Trains the reward model, and holds its rewards against the validation split's comparisons."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation.reward_breakdown import breakdown
from ilf_kedro.evaluation.reward_models import accuracy_row, answered, calibration, probability_preferred
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.protocol import LanguageModel, TokenCounter
from ilf_kedro.pipelines.reward_model.inputs import reward_model_from
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.pipelines.training_log import training_log
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import RewardInput, RewardModel, RewardModelKind
from ilf_kedro.schemas import (
    Comparisons,
    DataFrame,
    Reliability,
    RewardModelAccuracy,
    RewardModelBreakdown,
    RewardPredictions,
    TrainingLog,
    UserError,
)
from ilf_kedro.training.reward_model import fit_reward_model
from ilf_kedro.training.workspace import TrainingWorkspace

LABEL = "reward_model"


def train_reward_model(
    reward_base_model: LanguageModel,
    comparisons: DataFrame[Comparisons],
    template: PromptTemplate,
    pair_template: PromptTemplate,
    options: RewardModelOptions,
    seed: int,
    workspace: TrainingWorkspace,
) -> tuple[Checkpoint, DataFrame[TrainingLog]]:
    """Train the reward model on people's comparisons, or record that the base model is used as it is.

    Raises:
        UserError: fewer comparisons than train_size, or none; or a model that cannot be trained.
    """
    if not options.trained:
        checkpoint = workspace.publish_untrained(reward_base_model.name, reward_base_model.revision)
        return checkpoint, training_log(checkpoint)
    chosen = pair_template if options.kind == "a_b" else template
    checkpoint = train_kind(
        options.kind, options.train_size, reward_base_model, comparisons, chosen, options, seed, workspace, label=LABEL
    )
    return checkpoint, training_log(checkpoint)


def train_kind(
    kind: RewardModelKind,
    train_size: int | None,
    reward_base_model: LanguageModel,
    comparisons: DataFrame[Comparisons],
    template: PromptTemplate,
    options: RewardModelOptions,
    seed: int,
    workspace: TrainingWorkspace,
    *,
    label: str,
) -> Checkpoint:
    """Train a reward model of a kind on the first `train_size` comparisons; null means all.

    Raises:
        UserError: fewer comparisons than train_size, or none; or a model that cannot be trained.
    """
    size = len(comparisons) if train_size is None else train_size
    if not 1 <= size <= len(comparisons):
        raise UserError(
            f"{label}.train_size is {size}, but the train split has {len(comparisons)} comparisons; "
            "lower it, set it to null for all, or name the columns that have comparisons (task.columns.comparison)"
        )
    source = getattr(reward_base_model, "source", None)
    if not isinstance(source, ModelSource):
        raise UserError(
            f"reward_base_model is {reward_base_model.name!r}, which is not trained on this machine; name a local "
            "model in the catalog, or set reward_model.trained to false to ask it as it is"
        )
    return fit_reward_model(
        kind,
        source,
        comparisons.head(size),
        template,
        options.training,
        seed=seed,
        workspace=workspace,
        label=label,
    )


def predict_preferences(
    reward_base_model: LanguageModel,
    checkpoint: Checkpoint,
    options: RewardModelOptions,
    template: PromptTemplate,
    pair_template: PromptTemplate,
    comparisons: DataFrame[Comparisons],
    base_model: TokenCounter,
) -> DataFrame[RewardPredictions]:
    """Reward both outputs of every comparison, and count their tokens as the base model does."""
    model = reward_model_from(reward_base_model, checkpoint, options, template, pair_template)
    return predictions(model, comparisons, base_model)


def predictions(
    model: RewardModel, comparisons: DataFrame[Comparisons], counter: TokenCounter
) -> DataFrame[RewardPredictions]:
    """Return a reward model's view of every comparison."""
    outputs = [
        RewardInput.of(row, row[column])
        for row in comparisons.to_dict("records")
        for column in (("chosen", "rejected") if row["preferred"] == "a" else ("rejected", "chosen"))
    ]
    compared = model.compare(list(zip(outputs[::2], outputs[1::2], strict=True)))
    table = comparisons[["example_id", "preferred"]].copy()
    table["reward_a"] = [pair.first for pair in compared]
    table["reward_b"] = [pair.second for pair in compared]
    table["p_a_preferred"] = probability_preferred(table["reward_a"], table["reward_b"])
    for place, column in enumerate(("p_a_shown_first", "p_a_shown_second")):
        table[column] = [pair.in_orders[place] if pair.in_orders else float("nan") for pair in compared]
    n_tokens = counter.count_tokens([output.output for output in outputs])
    table["n_tokens_a"], table["n_tokens_b"] = n_tokens[::2], n_tokens[1::2]
    return RewardPredictions.validate(table)


def evaluate_predictions(
    predictions: DataFrame[RewardPredictions], checkpoint: Checkpoint, options: RewardModelOptions
) -> tuple[DataFrame[RewardModelAccuracy], DataFrame[Reliability], DataFrame[RewardModelBreakdown]]:
    """Measure accuracy with its Wilson interval, calibration where there are comparisons enough, and biases."""
    row = accuracy_row(predictions, n_train=n_comparisons(options.kind, checkpoint), confidence=options.confidence)
    defined = answered(predictions)
    curve = calibration(defined["p_a_preferred"], defined["preferred"] == "a").curve
    return (
        RewardModelAccuracy.validate(pd.DataFrame([row])),
        Reliability.validate(curve),
        breakdown(predictions, confidence=options.confidence),
    )


def n_comparisons(kind: RewardModelKind, checkpoint: Checkpoint) -> int:
    """Return how many comparisons a reward model was trained on: yes_no has two examples of each."""
    n_examples = checkpoint.record.n_examples
    return n_examples // 2 if kind == "yes_no" else n_examples
