"""Test texts that training texts hold word for word, by runs of eight words (as Chowdhery et al. 2022, section 8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.evaluation.feedback_flags import words_of
from ilf_kedro.schemas import DataFrame, Examples, Overlaps, text_or_empty

__all__ = ["RUN", "overlaps"]

RUN = 8  # words
_TEXTS = ("initial_output", "feedback", "reference")
_Hashes = NDArray[np.uint64]


def overlaps(train: DataFrame[Examples], test: DataFrame[Examples]) -> DataFrame[Overlaps]:
    """Measure how much of every test input and reference the texts of the training split hold."""
    hashing = _Hashing()
    ids: list[NDArray[np.int64]] = []
    hashes: list[_Hashes] = []
    for row in train.to_dict("records"):
        for text in (*(row[name] for name in Examples.input_names(train)), *(row[name] for name in _TEXTS)):
            own = hashing.runs(words_of(text_or_empty(text)))
            ids.append(np.full(len(own), len(hashes)))
            hashes.append(own)
    held, first = np.unique(np.concatenate([np.array([], dtype=np.uint64), *hashes]), return_index=True)
    texts_per_example = len(Examples.input_names(train)) + len(_TEXTS)
    of_example = np.concatenate([np.array([], dtype=np.int64), *ids])[first] // texts_per_example
    names = train["example_id"].tolist()
    rows = []
    for example_id, text, words in _test_texts(test):
        runs = hashing.runs(words)
        places = np.searchsorted(held, runs)
        found = np.zeros(len(runs), dtype=bool)
        inside = places < len(held)
        found[inside] = held[places[inside]] == runs[inside]
        start, length = _longest(found)
        rows.append(
            {
                "example_id": example_id,
                "text": text,
                "runs": len(runs),
                "shared": float(found.mean()) if len(runs) else 0.0,
                "words": length + RUN - 1 if length else 0,
                "passage": " ".join(words[start : start + length + RUN - 1]) if length else None,
                "train_example_id": names[of_example[places[start]]] if length else None,
            }
        )
    return Overlaps.from_rows(rows)


class _Hashing:
    """Numbers of 64 bits for runs of words; each word is hashed once."""

    def __init__(self) -> None:
        self._of_word: dict[str, int] = {}

    def runs(self, words: Sequence[str]) -> _Hashes:
        if len(words) < RUN:
            return np.array([], dtype=np.uint64)
        hashed = np.array([self._hash(word) for word in words], dtype=np.uint64)
        mixed = np.zeros(len(words) - RUN + 1, dtype=np.uint64)
        for place in range(RUN):
            mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + hashed[place : place + len(mixed)]
        return mixed

    def _hash(self, word: str) -> int:
        if word not in self._of_word:
            digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
            self._of_word[word] = int.from_bytes(digest, "little")
        return self._of_word[word]


def _test_texts(test: DataFrame[Examples]) -> Iterator[tuple[str, str, list[str]]]:
    inputs = Examples.input_names(test)
    for row in test.to_dict("records"):
        yield str(row["example_id"]), "input", words_of("\n".join(text_or_empty(row[name]) for name in inputs))
        if reference := text_or_empty(row["reference"]):
            yield str(row["example_id"]), "reference", words_of(reference)


def _longest(found: NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest stretch of True begins, and its length; the first of equal ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    return int(edges[::2][lengths.argmax()]), int(lengths.max())
