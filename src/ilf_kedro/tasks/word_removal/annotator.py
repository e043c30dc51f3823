"""People who object to some words, and say so in words of their own; one of them is hidden from all models."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from ilf_kedro.tasks.word_removal.sentences import WORDS, find_words, stream_of
from ilf_kedro.verifiers import Row

__all__ = ["VAGUE", "comment", "comment_on_output", "objections_of"]

VAGUE = "Some of it should go."
"""A comment that names no word: what the control without feedback is told, in every example."""

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


def objections_of(annotator: int, n_objections: int) -> frozenset[str]:
    """Return the words that an annotator objects to, always and everywhere."""
    return frozenset(stream_of("objections", annotator).sample(WORDS, n_objections))


def comment_on_output(row: Row, *, annotator: int, n_objections: int) -> str:
    """Return what the annotator says about an output. It is one of `rounds.annotator`, in place of people."""
    stream = stream_of("comment", annotator, row.output)
    return comment(stream, row.output, objections_of(annotator, n_objections))


def comment(stream: random.Random, text: str, objections: Collection[str]) -> str:
    """Return a comment on a text: the words objected to that stand in it, or praise."""
    named = [word for word in find_words(text) if word in objections]
    if not named:
        return stream.choice(_PRAISE)
    return stream.choice(_COMPLAINTS).format(words=_enumerate(named))


def _enumerate(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
