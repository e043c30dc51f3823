"""Token sequences as a prefix tree laid out in one row: what several of them share is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """The tokens [start, end) of the row, which one branch of the tree adds to its prefix.

    `prefix` holds the row indices of all tokens before them in the branch; shape (depth,).
    """

    start: int
    end: int
    prefix: Indices


@dataclass(frozen=True, slots=True)
class Packing:
    """A row of unique tokens. `paths[i]` holds the row indices of the tokens of sequence i.

    `positions` are the tokens' places in their own sequences, which position embeddings need.
    `n_tokens` counts the tokens of all sequences before sharing.
    """

    tokens: Indices
    positions: Indices
    segments: tuple[Segment, ...]
    paths: tuple[Indices, ...]
    n_tokens: int


def pack(sequences: Sequence[Sequence[int]]) -> Packing:
    """Lay the sequences out so that each shared prefix stands once.

    In sorted order a sequence shares with its predecessor the longest prefix that it shares with any
    earlier one, so one pass over neighbours builds the whole tree.
    """
    arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    order = sorted(range(len(arrays)), key=lambda i: list(sequences[i]))
    paths: list[Indices] = [np.empty(0, dtype=np.int64)] * len(arrays)
    segments: list[Segment] = []
    tokens: list[Indices] = []
    positions: list[Indices] = []
    length, previous, path = 0, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for index in order:
        current = arrays[index]
        shared = common_prefix(previous, current)
        added = len(current) - shared
        if added:
            segments.append(Segment(length, length + added, path[:shared]))
            tokens.append(current[shared:])
            positions.append(np.arange(shared, len(current)))
        path = np.concatenate([path[:shared], np.arange(length, length + added)])
        length, previous, paths[index] = length + added, current, path
    return Packing(
        np.concatenate(tokens) if tokens else np.empty(0, dtype=np.int64),
        np.concatenate(positions) if positions else np.empty(0, dtype=np.int64),
        tuple(segments),
        tuple(paths),
        sum(len(array) for array in arrays),
    )


def common_prefix(first: Indices, second: Indices) -> int:
    """Return how many leading elements are equal."""
    n = min(len(first), len(second))
    different = np.flatnonzero(first[:n] != second[:n])
    return int(different[0]) if len(different) else n
