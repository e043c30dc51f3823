"""Warnings about what a server's answers lack, and about what they may cost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from ilf_kedro.language_models.openai.cost_tracker import Forecast
from ilf_kedro.language_models.openai.errors import HOW_TO_ANSWER_AT_ONCE
from ilf_kedro.language_models.openai.reasoning import is_thought
from ilf_kedro.language_models.protocol import Choice, ChoiceProbabilities, Completion
from ilf_kedro.language_models.undefined import warn_of_undefined

__all__ = ["warn_of_budget", "warn_of_choices", "warn_of_reasoning"]

logger = logging.getLogger(__name__)

_INEXACT = 0.01  # of a probability: a larger bound is said


def warn_of_reasoning(model: str, completions: Sequence[Completion]) -> None:
    """Warn of completions that are empty because reasoning used up their tokens, with the remedy."""
    empty = sum(not completion.text and completion.finish_reason == "length" for completion in completions)
    if empty:
        logger.warning(
            "%s: %d of %d answers used up their tokens in reasoning and are empty. %s",
            model, empty, len(completions), HOW_TO_ANSWER_AT_ONCE,
        )  # fmt: skip


def warn_of_choices(
    model: str,
    tops: Sequence[Mapping[str, float]],
    answers: Sequence[ChoiceProbabilities],
    choices: Sequence[Choice],
    alternatives: int,
) -> None:
    """Warn of answers that are undefined, with what the model says instead, and of those that are inexact."""
    undefined = [top for top, answer in zip(tops, answers, strict=True) if not answer.defined]
    said = Counter(max(top, key=lambda token: top[token]) for top in undefined if top).most_common(3)
    instead = ", ".join(f"{token!r} {count} times" for token, count in said) or "nothing listed"
    thinks = any(is_thought(token) for token, _ in said)
    warn_of_undefined(model, answers, choices, f"; instead: {instead}.{f' {HOW_TO_ANSWER_AT_ONCE}' if thinks else ''}")
    worst = max((answer.bound for answer in answers if answer.defined), default=0.0)
    if worst > _INEXACT:
        logger.warning(
            "%s lists the %d likeliest tokens only: probabilities of %s may be off by up to %.3f",
            model, alternatives, [choice.name for choice in choices], worst,
        )  # fmt: skip


def warn_of_budget(model: str, expected: Forecast, left: float | None) -> None:
    """Warn of work that may cost more than is left of the budget."""
    if left is not None and expected.usd is not None and expected.usd > left:
        logger.warning(
            "%s: this may cost $%.4f, and $%.4f of the budget are left; it stops cleanly when they are used up",
            model, expected.usd, left,
        )  # fmt: skip
