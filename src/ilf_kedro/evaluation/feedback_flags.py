"""Feedback to look at before money is spent on it: each flag follows from the words alone, and says why."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ilf_kedro.schemas import DataFrame, Examples, FeedbackFlags, text_or_empty

__all__ = ["flag_feedback", "words_of"]

_FEWEST_WORDS = 3
_REPEATED = 3  # inputs with the same feedback
_RARE = 0.1  # of all examples have the word
_FEWEST_RARE = 2


@dataclass(frozen=True, slots=True)
class _Feedback:
    example_id: str
    split: str
    input_id: str
    text: str
    said: tuple[str, ...]
    initial_output: str
    reference: str
    about: frozenset[str]


def words_of(text: str) -> list[str]:
    """Return the words of a text, without case and punctuation."""
    return re.findall(r"\w+", text.casefold())


def flag_feedback(examples: DataFrame[Examples]) -> DataFrame[FeedbackFlags]:
    """Flag the feedback that says little, repeats, changed nothing, or seems to be about another output.

    short: fewer than three different words. repeated: three inputs or more have it word for word. doubled: another
    example has the same input, initial output and feedback. changed nothing: the reference is the initial output. about
    something else: none of its words that few examples have stands in its own example's texts, and two or more stand
    in another's. No language is assumed, and no row is dropped.
    """
    inputs = Examples.input_names(examples)
    given = [_read(row, inputs) for row in examples.dropna(subset="feedback").to_dict("records")]
    flags = [
        {"split": each.split, "example_id": each.example_id, "flag": flag, "reason": reason, "feedback": each.text}
        for found in (_short(given), _repeated(given), _doubled(given), _unchanged(given), _elsewhere(given))
        for each, flag, reason in found
    ]
    return FeedbackFlags.from_rows(flags)


_Found = Iterator[tuple[_Feedback, str, str]]


def _read(row: Mapping[Hashable, object], inputs: Sequence[str]) -> _Feedback:
    feedback, output, reference = (text_or_empty(row[name]) for name in ("feedback", "initial_output", "reference"))
    about = [*(text_or_empty(row[name]) for name in inputs), output, reference]
    return _Feedback(
        example_id=str(row["example_id"]),
        split=str(row["split"]),
        input_id=str(row["input_id"]),
        text=feedback,
        said=tuple(words_of(feedback)),
        initial_output=" ".join(output.split()),
        reference=" ".join(reference.split()),
        about=frozenset(word for text in about for word in words_of(text)),
    )


def _short(given: Sequence[_Feedback]) -> _Found:
    for each in given:
        if (n := len(set(each.said))) < _FEWEST_WORDS:
            yield each, "short", f"{n or 'no'} different word{'' if n == 1 else 's'}"


def _repeated(given: Sequence[_Feedback]) -> _Found:
    inputs = defaultdict(set)
    for each in given:
        inputs[each.said].add(each.input_id)
    for each in given:
        if (n := len(inputs[each.said])) >= _REPEATED:
            yield each, "repeated", f"{n} inputs have it word for word"


def _doubled(given: Sequence[_Feedback]) -> _Found:
    first: dict[tuple[str, str, tuple[str, ...]], str] = {}
    for each in given:
        known = first.setdefault((each.input_id, each.initial_output, each.said), each.example_id)
        if known != each.example_id:
            yield each, "doubled", f"{known} has the same input, output and feedback"


def _unchanged(given: Sequence[_Feedback]) -> _Found:
    for each in given:
        if each.reference and each.reference == each.initial_output:
            yield each, "changed nothing", "the reference is the initial output, word for word"


def _elsewhere(given: Sequence[_Feedback]) -> _Found:
    having = Counter(word for each in given for word in each.about)
    weight = {word: math.log(len(given) / n) for word, n in having.items() if n <= _RARE * len(given)}
    examples_with = defaultdict(list)
    for place, each in enumerate(given):
        for word in each.about & weight.keys():
            examples_with[word].append(place)
    for each in given:
        rare = sorted(set(each.said) & weight.keys())
        if each.about.isdisjoint(rare):
            shared = Counter(place for word in rare for place in examples_with[word])
            nearest = max(shared, key=lambda place: (shared[place], -place), default=None)
            if nearest is not None and shared[nearest] >= _FEWEST_RARE:
                named = ", ".join(word for word in rare if word in given[nearest].about)
                yield (
                    each,
                    "about something else",
                    f"{named}: not in its own texts, but in {given[nearest].example_id}'s",
                )
