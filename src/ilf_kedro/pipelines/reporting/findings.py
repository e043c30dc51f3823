"""The report's first paragraph, and what in it is not to be trusted: sentences made from the tables."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ilf_kedro.evaluation.win_rates import ALL_MODELS, tells_models_apart
from ilf_kedro.pipelines.reporting.labels import arm_and_size, in_order, words_of
from ilf_kedro.run_record import RunRecord
from ilf_kedro.schemas import DataFrame, JudgeAgreement, ModelMetrics, RewardModelAccuracy

__all__ = ["Caveat", "caveats", "judge_sentence", "likelihood_sentence", "opening", "reward_model_sentence"]

FEW_POSTS = 100
_DEMONSTRATION_MODELS = ("smollm2-135m", "tiny-random")


@dataclass(frozen=True, slots=True)
class Caveat:
    """A reason for distrust: its name, and what follows from it."""

    title: str
    text: str


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
        sentences.append(f"All of it rests on {n_test} test posts: too few to conclude anything about the method.")
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
            "more often than a coin, which would for half: it does read the summaries, but whether it likes what people "
            "like is not known."
        )
    return (
        f"This judge cannot tell the models apart: asked in both orders, the language model {row['judged_by']} kept to "
        f"its verdict for {share}, and a coin would for half. The win rates below therefore say nothing about quality."
    )


def likelihood_sentence(metrics: DataFrame[ModelMetrics], confidence: float) -> str:
    """Say for each arm at its largest size whether it finds the human summaries more probable than before."""
    differences = metrics[metrics["metric"] == "nll_minus_base"].set_index("model")
    largest = {trained[0]: model for model in in_order(differences.index) if (trained := arm_and_size(model))}
    if not largest:
        return ""
    parts = []
    for arm, model in largest.items():
        row, (_, size) = differences.loc[model], arm_and_size(model) or (arm, 0)
        bounds = "no interval"
        if pd.notna(row["lower"]):
            bounds = f"{_signed(row['lower'])} to {_signed(row['upper'])}"
        clear = pd.notna(row["lower"]) and (row["upper"] < 0 or row["lower"] > 0)
        parts.append(
            f"{_signed(row['value'])} on {size:,} {words_of(arm)} ({bounds}{'' if clear else ', no clear change'})"
        )
    return (
        "Finetuning changed the negative log-likelihood of the human test summaries, in nats per token against the base "
        f"model with {confidence:.0%} intervals, by {'; '.join(parts)}. Below 0 is better."
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


def caveats(agreement: DataFrame[JudgeAgreement], run: RunRecord, *, n_test: int, n_resampled_note: str = "") -> list[Caveat]:
    """List what in the report is not to be trusted, and why."""
    found = [
        Caveat(
            f"{n_test} test posts",
            "Intervals are over these posts alone, from one training and one sample per post. They hold neither the spread "
            "between seeds nor that of choosing among arms, sizes and metrics: of twenty comparisons without any effect, "
            "about one lies outside its 95 % interval."
            + (" With so few posts, only large differences could show." if n_test < FEW_POSTS else ""),
        ),
        Caveat("The judge", _judge_caveat(agreement)),
        Caveat(
            "Likelihood and ROUGE-L reward likeness",
            "Both measure closeness to one human summary. The arm that is finetuned on human summaries learns just that "
            "style, so a better figure there is no better summary.",
        ),
        Caveat(
            "The reward of best-of-N",
            "Best-of-N is chosen by the reward model that then rates it: its reward is high by construction.",
        ),
        Caveat(
            "InstructRM",
            "The score is a language model's answer to whether a refinement follows the feedback. In the paper no scorer was "
            "shown to be better than taking the longest refinement, so lengths stand beside every score.",
        ),
        Caveat(
            "The learning rate",
            "The paper gives learning-rate multipliers over an undisclosed base. Here learning rate = base × multiplier ÷ 0.1: "
            "only the ratios between train sizes are the paper's.",
        ),
        Caveat(
            "The data",
            "In the sample that comes with the project, the human summaries, the feedback and the preferences were written by "
            "a language model, not by people, as its data card says: the words human and people then name a role. SLF5K is the "
            "real set (--env slf5k).",
        ),
    ]
    weak = sorted({m.name for m in run.language_models if any(name in m.name.lower() for name in _DEMONSTRATION_MODELS)})
    if weak:
        found.insert(
            0,
            Caveat(
                "The models",
                f"{', '.join(weak)} is too weak to refine, to judge or to reward well. This run shows that every part of the "
                "loop works, not that learning from language feedback does.",
            ),
        )
    return found


def _judge_caveat(agreement: DataFrame[JudgeAgreement]) -> str:
    judges = " and ".join(sorted(agreement["judged_by"].unique())) or "a language model"
    return (
        f"Win rates are judged by the language model {judges}, not by people. A win counts only where both orders of the two "
        "summaries give the same verdict, else each side gets ½. A judge that goes by the position alone agrees with itself "
        "on half of the pairs at most, and one that agrees more often may still go by length or by likeness to itself."
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
