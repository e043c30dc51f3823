"""The report's first paragraph: honest sentences made from the tables."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ilf_kedro.evaluation.win_rates import ALL_MODELS, tells_models_apart
from ilf_kedro.pipelines.reporting.labels import arm_and_size, in_order, signed, words_of
from ilf_kedro.run_record import RunRecord
from ilf_kedro.schemas import DataFrame, JudgeAgreement, ModelMetrics, RewardModelAccuracy

__all__ = ["FEW_POSTS", "judge_sentence", "likelihood_sentence", "opening", "reward_model_sentence", "weak_models"]

FEW_POSTS = 100
_DEMONSTRATION_MODELS = ("smollm2-135m", "tiny-random")


def opening(
    metrics: DataFrame[ModelMetrics],
    agreement: DataFrame[JudgeAgreement],
    accuracy: DataFrame[RewardModelAccuracy],
    *,
    n_test: int,
    confidence: float,
) -> list[str]:
    """Return the sentences of the first paragraph, the judge's worth first."""
    sentences = [judge_sentence(agreement, confidence), likelihood_sentence(metrics, confidence)]
    sentences.append(reward_model_sentence(accuracy, confidence))
    if n_test < FEW_POSTS:
        posts = "one test post" if n_test == 1 else f"{n_test} test posts"
        sentences.append(f"All of it rests on {posts}: too few to conclude anything about the method.")
    return [sentence for sentence in sentences if sentence]


def judge_sentence(agreement: DataFrame[JudgeAgreement], confidence: float) -> str:
    """Say whether the judge can tell the models apart, and from what one knows that."""
    overall = agreement[agreement["model"] == ALL_MODELS]
    if overall.empty:
        return "No summaries were judged, so there are no win rates."
    row = overall.iloc[0]
    share = (
        f"{row['n_pairs'] * row['agreement']:.0f} of {row['n_pairs']} pairs ({row['agreement']:.0%}; "
        f"{confidence:.0%} interval {row['lower']:.0%} to {row['upper']:.0%})"
    )
    if tells_models_apart(float(row["lower"])):
        return (
            f"Asked in both orders, the judge, the language model {row['judged_by']}, kept to its verdict for {share}, "
            "more often than a coin, which would for half: it does read the summaries, but whether it likes what "
            "people like is not known."
        )
    return (
        f"This judge cannot tell the models apart: asked in both orders, the language model {row['judged_by']} kept to "
        f"its verdict for {share}, and a coin would for half. The win rates below therefore say nothing about quality."
    )


def likelihood_sentence(metrics: DataFrame[ModelMetrics], confidence: float) -> str:
    """Say for each arm at its largest size whether it finds the human summaries more probable than before."""
    differences = metrics[metrics["metric"] == "nll_minus_base"]
    largest = {trained[0]: model for model in in_order(differences["model"]) if (trained := arm_and_size(model))}
    if not largest:
        return ""
    rows = {str(row["model"]): row for row in differences.to_dict("records")}
    parts = [_change(arm, rows[model]) for arm, model in largest.items()]
    return (
        "Finetuning changed the negative log-likelihood of the human test summaries, in nats per token against the "
        f"base model with {confidence:.0%} intervals, by {'; '.join(parts)}. Below 0 is better."
    )


def reward_model_sentence(accuracy: DataFrame[RewardModelAccuracy], confidence: float) -> str:
    """Say how often the reward model is right, and whether a coin might be."""
    if accuracy.empty:
        return ""
    row = accuracy.iloc[0]
    coin = "which a coin might reach too" if row["lower"] <= 0.5 <= row["upper"] else "which a coin would not reach"
    if row["upper"] < 0.5:
        coin = "which is worse than a coin"
    right = f"{row['n'] * row['accuracy']:g} of {row['n']}"
    return (
        f"The reward model is right on {right} held-out comparisons ({row['accuracy']:.0%}; {confidence:.0%} interval "
        f"{row['lower']:.0%} to {row['upper']:.0%}), {coin}."
    )


def weak_models(run: RunRecord) -> list[str]:
    """Return the names of the language models used that only demonstrate the loop."""
    names = {model.name for model in run.language_models}
    return sorted(name for name in names if any(weak in name.lower() for weak in _DEMONSTRATION_MODELS))


def _change(arm: str, row: Mapping[Hashable, Any]) -> str:
    _, size = arm_and_size(row["model"]) or (arm, 0)
    bounds = "no interval"
    if pd.notna(row["lower"]):
        clear = round(row["upper"], 3) < 0 or round(row["lower"], 3) > 0
        bounds = f"{signed(row['lower'])} to {signed(row['upper'])}{'' if clear else ', no clear change'}"
    return f"{signed(row['value'])} on {size:,} {words_of(arm)} ({bounds})"
