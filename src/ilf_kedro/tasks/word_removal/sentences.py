"""Sentences of mildly rude words and one kind phrase, and the same sentences without some of the words.

The words are our own, and benign: the point is to remove them, not to offend.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["WORDS", "Sentence", "draw_sentence", "find_words", "remove_words", "stream_of"]

WORDS: tuple[str, ...] = (
    *("annoying", "awkward", "bossy", "careless", "clumsy", "dull", "fussy", "gloomy", "greedy", "grumpy"),
    *("impatient", "jealous", "lazy", "loud", "messy", "nosy", "odd", "rude", "selfish", "silly", "slow"),
    *("sneaky", "stubborn", "vain"),
)
_NAMES = (
    *("Anna", "Ben", "Clara", "David", "Eva", "Felix", "George", "Helen", "Ivan", "Julia", "Karl", "Laura", "Maria"),
    *("Nina", "Oscar", "Paul", "Rosa", "Sam", "Tom", "Vera"),
)
_NOUNS = (
    *("neighbour", "friend", "cook", "teacher", "driver", "singer", "gardener", "baker", "doctor", "farmer"),
    *("painter", "guest"),
)
_KIND_PHRASES = (
    "makes the best soup",
    "never forgets a birthday",
    "always helps in the end",
    "has a heart of gold",
    "tells wonderful stories",
    "lends everyone a hand",
    "brings us cake",
    "sings like an angel",
    "is loved by all children",
    "shares the last biscuit",
    "waters our plants",
    "keeps every promise",
)
_WORD_SET = frozenset(WORDS)
_LIST = re.compile(r"\b(?P<article>[Aa]n?) (?P<words>[a-z]+(?:, [a-z]+)*) (?P<noun>[a-z]+)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence by its parts: "{name} is a {words} {noun} who {kind_phrase}."."""

    name: str
    words: tuple[str, ...]
    noun: str
    kind_phrase: str

    @property
    def text(self) -> str:
        """The sentence, with the article that its first word asks for."""
        described = " ".join([", ".join(self.words), self.noun] if self.words else [self.noun])
        return f"{self.name} is {_article(described)} {described} who {self.kind_phrase}."

    def without(self, words: Collection[str]) -> Sentence:
        """Return the sentence without these words."""
        kept = tuple(word for word in self.words if word not in words)
        return Sentence(self.name, kept, self.noun, self.kind_phrase)


def stream_of(*key: str | int) -> random.Random:
    """Return the random stream of a key: the same key gives the same stream, everywhere."""
    return random.Random(repr(key))  # noqa: S311  # nothing here is secret


def draw_sentence(stream: random.Random, words: Sequence[str]) -> Sentence:
    """Draw name, noun and kind phrase around the given words."""
    return Sentence(stream.choice(_NAMES), tuple(words), stream.choice(_NOUNS), stream.choice(_KIND_PHRASES))


def remove_words(text: str, words: Collection[str]) -> str:
    """Return any text without the words where they stand in a list before a noun, commas and article mended.

    "an odd, silly cook" without "odd" is "a silly cook"; what is no such list stays as it is.
    """

    def mend(match: re.Match[str]) -> str:
        kept = [word for word in match["words"].split(", ") if word not in words]
        described = f"{', '.join(kept)} {match['noun']}" if kept else match["noun"]
        article = _article(described)
        return f"{article.capitalize() if match['article'][0] == 'A' else article} {described}"

    return _LIST.sub(mend, text)


def find_words(text: str) -> list[str]:
    """Return the mildly rude words in a text, each once, in the order of their first occurrence."""
    return [word for word in dict.fromkeys(re.findall(r"[a-z]+", text.lower())) if word in _WORD_SET]


def _article(following: str) -> str:
    return "an" if following[0] in "aeiou" else "a"
