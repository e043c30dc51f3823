"""The paper's probe: can a language model remove the words that the feedback names, and nothing else?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilf_kedro.tasks.word_removal.annotators import comment
from ilf_kedro.tasks.word_removal.sentences import WORDS, draw_sentence

__all__ = ["COMBINATIONS", "ProbeItem", "draw_probe"]

# How many words a sentence has, and how many of them are to go (paper: 1 to 10, and 1 to 3).
COMBINATIONS = tuple((n_words, n_to_remove) for n_to_remove in (1, 2, 3) for n_words in range(n_to_remove, 11))


@dataclass(frozen=True, slots=True)
class ProbeItem:
    """A sentence, the feedback on it, and the one right answer."""

    example_id: str
    sentence: str
    feedback: str
    n_words: int
    n_to_remove: int
    answer: str


def draw_probe(n_per_combination: int, *, seed: int) -> list[ProbeItem]:
    """Draw sentences of every combination of word count and number to remove (paper: 50 of each, 1,350 in all).

    The items of a smaller probe are among those of a larger one with the same seed.
    """
    items = []
    for n_words, n_to_remove in COMBINATIONS:
        for index in range(n_per_combination):
            random = np.random.default_rng([seed, n_words, n_to_remove, index])
            sentence = draw_sentence(random, [str(word) for word in random.choice(WORDS, n_words, replace=False)])
            named = frozenset(str(word) for word in random.choice(sentence.words, n_to_remove, replace=False))
            items.append(
                ProbeItem(
                    f"probe-{n_words}-{n_to_remove}-{index}",
                    sentence.text,
                    comment(random, sentence.text, named),
                    n_words,
                    n_to_remove,
                    sentence.without(named).text,
                )
            )
    return items
