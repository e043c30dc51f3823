"""Which output stands where: drawn for each annotator from a recorded seed, so that no place means a method."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from string import ascii_uppercase

__all__ = ["LETTERS", "draw", "place"]

LETTERS = ascii_uppercase[:6]
"""What candidates are called on the page, in the order shown."""


def draw(seed: int, *parts: str) -> random.Random:
    """Return a generator that the seed and the parts decide, the same on every machine."""
    digest = hashlib.sha256("\0".join((str(seed), *parts)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311  # reproducible, not secret


def place(seed: int, annotator: str, item_id: str, candidate_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the candidates in the order in which the annotator sees them."""
    shown = sorted(candidate_ids)
    draw(seed, annotator, item_id).shuffle(shown)
    return tuple(shown)
