"""Inputs that are nearly the same: found by MinHash (Broder 1997), and measured exactly."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["NearDuplicate", "near_duplicates", "similarity"]

_RUN = 3  # words
_PERMUTATIONS = 64
_FEWEST_ROOM = 0.1  # how far below the threshold MinHash looks, whose estimates scatter


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two inputs by their `input_id`, and the Jaccard similarity of their runs of three words, in [0, 1]."""

    first: str
    second: str
    similarity: float


def near_duplicates(texts: Mapping[str, str], threshold: float) -> list[NearDuplicate]:
    """Return the pairs of texts, by their names, that are at least so similar, the most similar first.

    MinHash proposes pairs, of which it may miss one near the threshold; each is then measured exactly. Case and white
    space do not count.
    """
    runs = {name: _runs(text) for name, text in texts.items()}
    found = [NearDuplicate(one, two, _jaccard(runs[one], runs[two])) for one, two in _candidates(runs, threshold)]
    return sorted(
        (pair for pair in found if pair.similarity >= threshold),
        key=lambda pair: (-pair.similarity, pair.first, pair.second),
    )


def similarity(one: str, two: str) -> float:
    """Return the Jaccard similarity of two texts' runs of three words, in [0, 1]."""
    return _jaccard(_runs(one), _runs(two))


def _candidates(runs: Mapping[str, frozenset[int]], threshold: float) -> Iterator[tuple[str, str]]:
    from datasketch import MinHash, MinHashLSH  # slow to import

    index = MinHashLSH(threshold=max(0.1, threshold - _FEWEST_ROOM), num_perm=_PERMUTATIONS, weights=(0.2, 0.8))
    for name, of_text in runs.items():
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=int)
        sketch.update_batch(of_text)
        for other in index.query(sketch):
            yield str(other), name
        index.insert(name, sketch, check_duplication=False)


def _runs(text: str) -> frozenset[int]:
    """Return the runs of three words as numbers of 32 bits; a shorter text is one run."""
    words = np.array([zlib.crc32(word.encode()) for word in text.casefold().split()], dtype=np.uint64)
    if len(words) < _RUN:
        return frozenset({zlib.crc32(" ".join(text.casefold().split()).encode())})
    mixed = words[:-2] * np.uint64(0x9E3779B1) + words[1:-1] * np.uint64(0x85EBCA77) + words[2:] * np.uint64(0xC2B2AE3D)
    return frozenset((mixed >> np.uint64(16) & np.uint64(0xFFFFFFFF)).tolist())


def _jaccard(one: frozenset[int], two: frozenset[int]) -> float:
    return len(one & two) / len(one | two) if one or two else 1.0
