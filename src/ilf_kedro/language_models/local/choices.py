"""How the answer words of a choice go on after a prompt, in tokens; and their probabilities put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.language_models.local.formatting import Formatted, Formatter
from ilf_kedro.language_models.protocol import Choice, ChoiceProbabilities

_TAIL = 64  # characters of a prompt's end that decide how an answer after it is tokenised
_TAIL_TOKENS = 6  # tokens on which the tail alone and the whole text must agree

Tokens = tuple[int, ...]


class AmbiguousChoiceError(ValueError):
    """Two choices begin with the same tokens, so that their probabilities cannot be told apart."""


@dataclass(frozen=True, slots=True)
class AnswerSequences:
    """All ways to answer a prompt: whole token sequences, those of one choice after the other.

    The first `start` tokens are common to all; choice i has `sizes[i]` of the sequences.
    """

    sequences: tuple[Tokens, ...]
    start: int
    sizes: tuple[int, ...]

    def total(self, scores: Sequence[NDArray[np.float64]]) -> tuple[float, ...]:
        """Return the log-probability of each choice: the sum over its verbalizers, each scored whole."""
        totals = np.array([score.sum() for score in scores])
        parts = np.split(totals, np.cumsum(self.sizes)[:-1])
        return tuple(float(np.logaddexp.reduce(part)) for part in parts)


def normalised(totals: Sequence[float], least_covered: float) -> ChoiceProbabilities:
    """Return the choices' log-probabilities, normalised over the choices."""
    covered = np.logaddexp.reduce(totals)
    log_p = tuple(float(each - covered) for each in totals)
    return ChoiceProbabilities(log_p, covered=float(np.exp(covered)), least_covered=least_covered)


class AnswerFinder:
    """Finds the tokens of answers after prompts, and remembers what prompts of one ending have in common."""

    def __init__(self, formatter: Formatter) -> None:
        self._formatter = formatter
        self._remembered: dict[tuple[str, str], tuple[Tokens, Tokens]] = {}

    def find(self, formatted: Formatted, choices: Sequence[Choice]) -> AnswerSequences:
        """Return every distinct way to spell the choices after a prompt.

        Raises:
            AmbiguousChoiceError: two choices have a token sequence in common.
        """
        ways = [[self._spell(formatted, spelling) for spelling in choice.verbalizers] for choice in choices]
        n_dropped = max(dropped for way in ways for dropped, _ in way)
        n_prompt = len(formatted.tokens)
        per_choice = [sorted({formatted.tokens[: n_prompt - n] + added for n, added in way}) for way in ways]
        self._refuse_ambiguous(per_choice, choices)
        sequences = tuple(sequence for way in per_choice for sequence in way)
        return AnswerSequences(sequences, n_prompt - n_dropped, tuple(len(way) for way in per_choice))

    def _spell(self, formatted: Formatted, spelling: str) -> tuple[int, Tokens]:
        """Return how many of the prompt's last tokens change before a spelling, and the tokens after those.

        The end of the prompt alone is tokenised, where that gives the tokens of the whole.
        """
        if not formatted.text:
            return 0, self._formatter.bare(spelling)
        tail = formatted.text[-_TAIL:]
        if (tail, spelling) not in self._remembered:
            self._remembered[tail, spelling] = (self._formatter.bare(tail), self._formatter.bare(tail + spelling))
        alone, joint = self._remembered[tail, spelling]
        if alone[-_TAIL_TOKENS:] != formatted.tokens[-_TAIL_TOKENS:]:
            alone, joint = formatted.tokens, self._formatter.continued(formatted, spelling)[0]
        shared = 0
        while shared < min(len(alone), len(joint)) and alone[shared] == joint[shared]:
            shared += 1
        return len(alone) - shared, joint[shared:]

    @staticmethod
    def _refuse_ambiguous(per_choice: Sequence[Sequence[Tokens]], choices: Sequence[Choice]) -> None:
        owners: dict[Tokens, str] = {}
        for choice, sequences in zip(choices, per_choice, strict=True):
            for sequence in sequences:
                if sequence in owners:
                    raise AmbiguousChoiceError(
                        f"the choices {owners[sequence]!r} and {choice.name!r} have a spelling of the same tokens; "
                        f"found {[each.verbalizers for each in choices]}: give each choice verbalizers of its own"
                    )
                owners[sequence] = choice.name
