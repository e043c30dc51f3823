"""Probabilities of answer words from a truncated list of the likeliest next tokens, with their bound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ilf_kedro.language_models.protocol import LEAST_COVERED, Choice, ChoiceProbabilities

_SMALLEST = 1e-30  # a probability below what any server's log-probability says


@dataclass(frozen=True, slots=True)
class _Mass:
    """Probability of one choice: what the list surely gives it, gives it at best, and could hide from it."""

    sure: float
    listed: float
    at_most: float


def choice_probabilities_from_top(
    top: Mapping[str, float], choices: Sequence[Choice], least_covered: float = LEAST_COVERED
) -> ChoiceProbabilities:
    """Turn the log-probabilities of the likeliest next tokens (text → nats) into those of the choices.

    A token counts for a choice if it is one of its verbalizers, or such a spelling followed by no letter or
    digit ("Yes."), or a beginning of it ("Tr" of "True") that begins no other choice. A token that is not
    listed is at most as probable as the least listed one, and all of them together as what the list
    leaves: so much is assumed for a choice that the list lacks. `bound` is the largest difference between
    a returned probability and any that the list allows, beginnings counted as uncertain.
    """
    probabilities = {token: math.exp(min(0.0, value)) for token, value in top.items()}
    rest = max(0.0, 1.0 - sum(probabilities.values()))
    least = min(probabilities.values(), default=1.0)
    masses = [_mass(probabilities, choice, choices, least, rest) for choice in choices]
    values = [max(_SMALLEST, mass.listed or mass.at_most) for mass in masses]
    total = sum(values)
    bound = 0.0
    for index, (value, mass) in enumerate(zip(values, masses, strict=True)):
        others = [other for position, other in enumerate(masses) if position != index]
        low = _share(mass.sure, sum(other.at_most for other in others))
        high = _share(mass.at_most, sum(other.sure for other in others))
        bound = max(bound, value / total - low, high - value / total)
    return ChoiceProbabilities(
        tuple(math.log(value / total) for value in values),
        covered=min(1.0, sum(mass.listed for mass in masses)),
        bound=min(1.0, bound),
        least_covered=least_covered,
    )


def _mass(
    probabilities: Mapping[str, float], choice: Choice, choices: Sequence[Choice], least: float, rest: float
) -> _Mass:
    others = [spelling for other in choices if other is not choice for spelling in other.verbalizers]
    sure = own = shared = 0.0
    seen: set[str] = set()
    for token, probability in probabilities.items():
        spelled = {spelling for spelling in choice.verbalizers if _says(token, spelling)}
        seen |= spelled
        if spelled:
            sure += probability
        elif not _begins(token, choice.verbalizers) or any(_says(token, spelling) for spelling in others):
            continue
        elif _begins(token, others):  # such as a lone blank, which may go on as either
            shared += probability
        else:
            own += probability
    unlisted = least * sum(spelling not in seen for spelling in choice.verbalizers)
    return _Mass(sure, sure + own, sure + own + shared + min(rest, unlisted))


def _says(token: str, spelling: str) -> bool:
    return token.startswith(spelling) and not token[len(spelling) : len(spelling) + 1].isalnum()


def _begins(token: str, verbalizers: Iterable[str]) -> bool:
    # The end-of-sequence token, which some servers show as the empty text, begins nothing.
    return token != "" and any(spelling.startswith(token) for spelling in verbalizers)


def _share(part: float, others: float) -> float:
    return part / (part + others) if part > 0 else 0.0
