"""What the report calls models, metrics and methods, and in which colour it draws them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ilf_kedro.schemas.names import BASE_MODEL, WITH_FEEDBACK

__all__ = [
    "BEST_OF_N",
    "GREY",
    "METRICS",
    "Metric",
    "arm_and_size",
    "colour",
    "in_order",
    "model_label",
    "number",
    "number_or_none",
    "percent",
    "sampler_of_best_of_n",
    "scorers_in_order",
    "signed",
    "thousands",
    "words_of",
]

BEST_OF_N = "finetune.best_of_n"
_TRAINED = re.compile(r"finetune\.(?P<arm>.+)\.n(?P<size>\d+)")
_NAMES = {
    "reference": "references themselves",
    BASE_MODEL: "base model, not finetuned",
    "reward_model": "reward model",
    "instruct_rm_ensemble": "InstructRM mean",
    WITH_FEEDBACK: "with feedback",
    "refinement_without_feedback": "without feedback",
    "refinement_with_shuffled_feedback": "with shuffled feedback",
    "refinement_with_model_feedback": "with model-written feedback",
    "refinements_shuffled_feedback": "refinements by shuffled feedback",
    "refinements_no_feedback": "refinements without feedback",
    "refinements_model_feedback": "refinements by model-written feedback",
    "any": "all of them",
}
# For what others are compared with, such as lines of reference, and for the bars of dots in several colours.
GREY = "#808895"
# Mid-tones that keep a contrast of 3:1 on white and on near-black, apart also for colour-blind readers.
_COLOURS = {
    "refinements": "#2f7fd1",
    "references": "#2a9d6f",
    "initial_outputs": "#d9822b",
    "refinements_shuffled_feedback": "#a8853a",
    "refinements_no_feedback": "#7a6ff0",
    "refinements_model_feedback": "#1f9fb0",
    BEST_OF_N: "#b05cc6",
    BASE_MODEL: GREY,
    "reference": "#c2496b",
    WITH_FEEDBACK: "#2f7fd1",
    "refinement_without_feedback": GREY,
    "refinement_with_shuffled_feedback": "#d9822b",
    "refinement_with_model_feedback": "#2a9d6f",
}
_ARMS = (
    "refinements",
    "references",
    "initial_outputs",
    "refinements_shuffled_feedback",
    "refinements_no_feedback",
    "refinements_model_feedback",
)
_MORE_COLOURS = ("#7a6ff0", "#1f9fb0", "#a8853a", "#d45d5d")


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the main table: its name, unit or explanation, number of digits, and what is better."""

    label: str
    short: str
    explanation: str
    digits: int
    better: str = ""


METRICS = {
    "nll_per_token": Metric(
        "Negative log-likelihood",
        "NLL",
        "nats per token of the references, given their inputs",
        3,
        "lower is better",
    ),
    "nll_minus_base": Metric(
        "NLL less the base model's", "Δ NLL", "nats per token, paired by input", 3, "below 0 is better"
    ),
    "rouge_l": Metric("ROUGE-L", "ROUGE-L", "F1 against the reference", 3, "higher is better"),
    "length_tokens": Metric("Length", "Length", "tokens of the cleaned output", 1),
    "reward": Metric("Reward", "Reward", "the reward model's p(excellent)", 3, "higher is better"),
    "win_rate": Metric(
        "Win rate over references",
        "Judge's win rate",
        "over references, judged by a language model in both orders, not by people",
        3,
        "higher is better",
    ),
}


def arm_and_size(model: str) -> tuple[str, int] | None:
    """Return the arm and train size of a finetuned model's name; None for any other model."""
    match = _TRAINED.fullmatch(model)
    return (match["arm"], int(match["size"])) if match else None


def words_of(name: str) -> str:
    """Return a name of the tables in plain words."""
    return _NAMES.get(name, name.replace("_", " ").replace("instruct rm", "InstructRM"))


def model_label(model: str, best_of_n: int) -> str:
    """Return a model's name in plain words, such as "refinements, 100 inputs" or "best of 8"."""
    if model == BEST_OF_N:
        return f"best of {best_of_n}"
    trained = arm_and_size(model)
    return words_of(model) if trained is None else f"{words_of(trained[0])}, {trained[1]:,}\u00a0inputs"


def sampler_of_best_of_n(models: Iterable[str], chosen: str | None = None) -> str | None:
    """Return which of the models best-of-N samples from: the chosen one, else the one of the most refinements."""
    if chosen is not None:
        return chosen
    samplers = [model for model in in_order(models) if (arm_and_size(model) or ("",))[0] == "refinements"]
    return samplers[-1] if samplers else None


def in_order(models: Iterable[str]) -> list[str]:
    """Sort models as the report shows them: people, the base model, each arm by size, best-of-N, others."""

    def place(model: str) -> tuple[int, int, str, int]:
        trained = arm_and_size(model)
        if trained is not None:
            place = _ARMS.index(trained[0]) if trained[0] in _ARMS else len(_ARMS)
            return (2, place, trained[0], trained[1])
        first = {"reference": 0, BASE_MODEL: 1, BEST_OF_N: 3}
        return (first.get(model, 4), 0, model, 0)

    return sorted(set(models), key=place)


def scorers_in_order(scorers: Iterable[str]) -> list[str]:
    """Sort scorers: the two that need no model first, a mean of others after them."""
    first = ("random", "longest")
    return sorted(set(scorers), key=lambda name: (name not in first, name.endswith("ensemble"), name))


def colour(name: str, index: int = 0) -> str:
    """Return the colour of an arm, method or model; others take the next of a list."""
    return _COLOURS.get(name, _MORE_COLOURS[index % len(_MORE_COLOURS)])


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with its digits and a true minus sign; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    # Adding 0.0 turns a negative zero, which rounding may leave, into zero.
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def number_or_none(value: object) -> float | None:
    """Return a number cell's value; None for a null one (tables hold nulls as nan)."""
    return float(value) if isinstance(value, int | float) and not math.isnan(value) else None


def signed(value: float | None, digits: int = 3) -> str:
    """Return a number with its sign, for differences."""
    text = number(value, digits)
    return f"+{text}" if value is not None and round(value, digits) > 0 else text


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage, such as "95%"."""
    return f"{share:.{digits}%}".replace("-", "−")


def thousands(count: int) -> str:
    """Return a whole number with a comma between its thousands."""
    return f"{count:,.0f}"
