"""The report's first paragraph: honest sentences made from the tables."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ilf_kedro.evaluation.win_rates import ALL_MODELS, SteadyVerdicts, tells_models_apart
from ilf_kedro.pipelines.reporting.trainings import Training
from ilf_kedro.report.labels import arm_and_size, in_order, signed, words_of
from ilf_kedro.schemas import DataFrame, JudgeAgreement, ModelMetrics, RewardModelAccuracy
from ilf_kedro.schemas.run_record import RunRecord

__all__ = [
    "FEW_POSTS",
    "judge_sentence",
    "likelihood_sentence",
    "opening",
    "reward_model_sentence",
    "steady_sentence",
    "weak_models",
]

FEW_POSTS = 100
ENOUGH_COVERED = 0.5  # of a judge's probability on the two answers: below it, the report warns
_DEMONSTRATION_MODELS = ("smollm2-135m", "tiny-random")


def opening(
    metrics: DataFrame[ModelMetrics],
    agreement: DataFrame[JudgeAgreement],
    verdicts: SteadyVerdicts,
    accuracy: DataFrame[RewardModelAccuracy],
    trainings: Sequence[Training],
    *,
    n_test: int,
    confidence: float,
) -> list[str]:
    """Return the sentences of the first paragraph, the judge's worth first."""
    sentences = [
        judge_sentence(agreement, verdicts, confidence),
        likelihood_sentence(metrics, trainings, confidence),
        reward_model_sentence(accuracy),
        _extent(agreement, trainings, n_test),
    ]
    return [sentence for sentence in sentences if sentence]


def judge_sentence(agreement: DataFrame[JudgeAgreement], verdicts: SteadyVerdicts, confidence: float) -> str:
    """Say whether the judge can tell the models apart, and from what one knows that."""
    overall = agreement[agreement["model"] == ALL_MODELS]
    if overall.empty:
        return "No outputs were judged, so there are no win rates."
    row = overall.iloc[0]
    if row["n_pairs"] == 0:
        return (
            f"The judge, the language model {row['judged_by']}, gave no verdict on any of {row['n_undefined']} pairs: "
            "it refused, or said something else than either answer. There are no win rates."
        )
    share = (
        f"{row['n_pairs'] * row['agreement']:.0f} of {row['n_pairs']} pairs ({row['agreement']:.0%}; "
        f"{confidence:.0%} interval {row['lower']:.0%} to {row['upper']:.0%})"
    )
    if tells_models_apart(float(row["lower"])):
        return (
            f"Asked in both orders, the judge, the language model {row['judged_by']}, kept to its verdict for {share}, "
            "more often than a coin, which would for half: its verdicts do not merely follow the position. Whether it "
            f"likes what people like is not known. {steady_sentence(verdicts)}{_covered_sentence(row)}"
        )
    return (
        f"This judge cannot tell the models apart: asked in both orders, the language model {row['judged_by']} kept to "
        f"its verdict for {share}, where a coin would for half. The win rates below therefore say nothing about "
        f"quality.{_covered_sentence(row)}"
    )


def _covered_sentence(row: pd.Series) -> str:
    """Say how many pairs have no verdict, and how much of its probability the judge gave to the two answers."""
    undefined = f" {row['n_undefined']} pairs more have no verdict and are left out." if row["n_undefined"] else ""
    if row["covered"] >= ENOUGH_COVERED:
        return undefined
    return (
        f"{undefined} The judge gave the two answers {row['covered']:.1%} of its probability on average; the rest went "
        "to other words, so that little of what it would say is in its verdicts."
    )


def steady_sentence(verdicts: SteadyVerdicts) -> str:
    """Say how many of the verdicts that both orders agree on went to the reference, and to the longer one."""
    if verdicts.n == 0:
        return "No verdict was the same in both orders."
    human = f"{verdicts.for_human} ({verdicts.for_human / verdicts.n:.0%}) went to the reference"
    sentence = f"Of the {verdicts.n} verdicts that were the same in both orders, {human}"
    if verdicts.n_unequal == 0:
        return f"{sentence}; no two outputs differed in length."
    longer = f"{verdicts.for_longer} ({verdicts.for_longer / verdicts.n_unequal:.0%})"
    return (
        f"{sentence}; of the {verdicts.n_unequal} on outputs of unequal length, {longer} to the longer one, in words."
    )


def likelihood_sentence(metrics: DataFrame[ModelMetrics], trainings: Sequence[Training], confidence: float) -> str:
    """Say for each arm at its largest size whether it finds the references more probable than before."""
    differences = metrics[metrics["metric"] == "nll_minus_base"]
    largest = {trained[0]: model for model in in_order(differences["model"]) if (trained := arm_and_size(model))}
    if not largest:
        return ""
    rows = {str(row["model"]): row for row in differences.to_dict("records")}
    used = {training.model: training.n_examples for training in trainings}
    parts = [_change(arm, used.get(model), rows[model]) for arm, model in largest.items()]
    return (
        "Finetuning changed the negative log-likelihood of the human test outputs, in nats per token against the "
        f"base model with {confidence:.0%} intervals, by {'; '.join(parts)}. Below 0 is better."
    )


def reward_model_sentence(accuracy: DataFrame[RewardModelAccuracy]) -> str:
    """Say how often the reward model is right, and whether a coin might be."""
    if accuracy.empty:
        return ""
    row = accuracy.iloc[0]
    coin = "which a coin might reach too" if row["lower"] <= 0.5 <= row["upper"] else "which a coin would not reach"
    if row["upper"] < 0.5:
        coin = "which is worse than a coin"
    right = f"{row['n'] * row['accuracy']:g} of {row['n']}"
    return (
        f"The reward model is right on {right} held-out comparisons ({row['accuracy']:.0%}; "
        f"{row['confidence']:.0%} interval {row['lower']:.0%} to {row['upper']:.0%}), {coin}."
    )


def weak_models(run: RunRecord, judges: Iterable[str]) -> list[str]:
    """Return the names of the language models used that only demonstrate the loop.

    The judges count too: a run that only writes the report anew uses no language model itself.
    """
    names = {model.name for model in run.language_models} | set(judges)
    return sorted(name for name in names if any(weak in name.lower() for weak in _DEMONSTRATION_MODELS))


def _extent(agreement: DataFrame[JudgeAgreement], trainings: Sequence[Training], n_test: int) -> str:
    """Say how much the report rests on: inputs, how many of them were judged, and training examples."""
    overall = agreement[agreement["model"] == ALL_MODELS]
    n_judged = int(overall["n_examples"].iloc[0]) if len(overall) else 0
    inputs = "one test post" if n_test == 1 else f"{n_test:,} test inputs"
    judged = f"{n_judged:,} of the {n_test:,} test inputs were judged, all of them measured otherwise"
    if n_test >= FEW_POSTS:
        few = ", too few to rank models by" if n_judged < FEW_POSTS else ""
        return f"Only {judged}{few}." if 0 < n_judged < n_test else ""
    largest = max((training.n_examples for training in trainings if training.asked is not None), default=0)
    trained = f" and on one training each, of at most {largest:,} examples" if largest else ""
    only = f" (only {judged})" if 0 < n_judged < n_test else ""
    return f"All of it rests on {inputs}{only}{trained}: too few to conclude anything about the method."


def _change(arm: str, used: int | None, row: Mapping[Hashable, Any]) -> str:
    _, size = arm_and_size(row["model"]) or (arm, 0)
    bounds = "no interval"
    if pd.notna(row["lower"]):
        clear = round(row["upper"], 3) < 0 or round(row["lower"], 3) > 0
        bounds = f"{signed(row['lower'])} to {signed(row['upper'])}{'' if clear else ', no clear change'}"
    return f"{signed(row['value'])} on {size if used is None else used:,} {words_of(arm)} ({bounds})"
