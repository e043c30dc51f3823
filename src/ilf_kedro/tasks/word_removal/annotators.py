"""People who object to some words, and say so in words of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ilf_kedro.tasks.word_removal.sentences import WORDS, Sentence, draw_sentence, find_words

__all__ = ["WrittenExample", "comment", "draw_any_sentence", "draw_objections", "write_examples"]

_COMPLAINTS = (
    "Please leave out {words}.",
    "I would not say {words}.",
    "Drop {words}; the rest is fine.",
    "It should not say {words}.",
    "It reads better without {words}.",
    "I mind the words {words}.",
    "Calling somebody {words} is not nice.",
    "Take out {words}, and keep the others.",
)
_PRAISE = ("Nothing needs to change.", "I like it as it is.", "This is fine, keep every word.")
_MOST_OBJECTIONS = 3
_SHARE_CONTENT = 0.1


@dataclass(frozen=True, slots=True)
class WrittenExample:
    """A refinement that a person wrote: the sentence, the feedback that was followed, and the result."""

    sentence: str
    feedback: str
    refinement: str


def draw_objections(random: np.random.Generator, n: int) -> frozenset[str]:
    """Draw the words that one annotator objects to, always and everywhere."""
    return frozenset(str(word) for word in random.choice(WORDS, n, replace=False))


def comment(random: np.random.Generator, text: str, objections: Collection[str]) -> str:
    """Return what an annotator says about a text: the words objected to that stand in it, or praise."""
    named = [word for word in find_words(text) if word in objections]
    if not named:
        return str(random.choice(_PRAISE))
    return str(random.choice(_COMPLAINTS)).format(words=_enumerate(named))


def write_examples(random: np.random.Generator, n: int, *, most_words: int = 10) -> list[WrittenExample]:
    """Let n different annotators each comment on a sentence of their own, and write the refinement.

    What each objects to is drawn afresh: one to three of the sentence's words, or with a probability of a tenth
    none. So nothing but the feedback tells what to remove.
    """
    examples = []
    for _ in range(n):
        sentence = draw_any_sentence(random, most_words=most_words)
        n_named = int(random.integers(1, min(_MOST_OBJECTIONS, len(sentence.words)) + 1))
        if random.random() < _SHARE_CONTENT:
            n_named = 0
        named = frozenset(str(word) for word in random.choice(sentence.words, n_named, replace=False))
        feedback = comment(random, sentence.text, named)
        examples.append(WrittenExample(sentence.text, feedback, sentence.without(named).text))
    return examples


def draw_any_sentence(random: np.random.Generator, *, most_words: int = 10) -> Sentence:
    """Draw a sentence of 1 to `most_words` words, each number and each word as likely as any other."""
    n_words = int(random.integers(1, most_words + 1))
    return draw_sentence(random, [str(word) for word in random.choice(WORDS, n_words, replace=False)])


def _enumerate(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
