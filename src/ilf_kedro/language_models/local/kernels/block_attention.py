"""Causal attention on a CPU: batched matrix products over blocks of queries.

torch's kernel for CPUs spends most of its time outside of its matrix products. Here each block of queries meets
only the keys up to its end, and all heads that share keys do so in one product; no mask is ever written.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["attend", "blocks", "probabilities"]

_BLOCK = 64  # queries; the best of 64, 128 and 256 for texts of 100 and 450 tokens


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(q kᵀ) v of queries that see the keys before them and their own, and none behind.

    `query`, scaled, is (sets, group, n, width), `key` and `value` (sets, m, width) with m ≥ n; the queries stand
    at the last n places. The result is (sets, group, n, width of the values), equal to torch's
    scaled_dot_product_attention to rounding.
    """
    output = query.new_empty(*query.shape[:3], value.shape[-1])
    for block, seen in blocks(query.shape[2], key.shape[1]):
        weights = probabilities(query[:, :, block], key[:, seen])
        output[:, :, block] = (weights @ value[:, seen]).view(output[:, :, block].shape)
    return output


def blocks(n: int, m: int) -> Iterator[tuple[slice, slice]]:
    """Yield each block of the n queries at the end of m places, and the keys that its last one sees."""
    for start in range(0, n, _BLOCK):
        end = min(start + _BLOCK, n)
        yield slice(start, end), slice(0, m - n + end)


def probabilities(query: Tensor, key: Tensor) -> Tensor:
    """Return what each query of a block (sets, group, size, width) gives each key, (sets, group × size, keys).

    The last query sees all keys, the one before it all but the last, and so on.
    """
    size = query.shape[2]
    scores = query.flatten(1, 2) @ key.transpose(1, 2)
    later = torch.ones(size, size, dtype=torch.bool, device=scores.device).triu(1)
    scores.view(len(scores), -1, size, scores.shape[-1])[..., -size:].masked_fill_(later, -torch.inf)
    return scores.softmax(-1)
