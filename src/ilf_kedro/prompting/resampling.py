"""Degenerate outputs: how they are recognised, and which draws are kept after the second sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["unique", "duplicate", "forbidden", "empty"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A draw that is kept: its place among the draws, and why it ranks where it does."""

    draw_index: int
    status: Status


def classify_draws(texts: Sequence[str], forbidden: Sequence[str] = ()) -> list[Status]:
    """Say of each cleaned text whether it is empty, forbidden, a duplicate of an earlier one, or unique.

    A text is forbidden if it contains one of `forbidden`, in whatever case.
    """
    seen: set[str] = set()
    statuses: list[Status] = []
    for text in texts:
        if not text:
            statuses.append("empty")
        elif any(word.casefold() in text.casefold() for word in forbidden):
            statuses.append("forbidden")
        else:
            statuses.append("duplicate" if text in seen else "unique")
            seen.add(text)
    return statuses


def is_degenerate(texts: Sequence[str], forbidden: Sequence[str] = ()) -> bool:
    """Say whether an example's outputs hold a duplicate, an empty or a forbidden text."""
    return any(status != "unique" for status in classify_draws(texts, forbidden))


def keep_best_draws(texts: Sequence[str], n: int, forbidden: Sequence[str] = ()) -> list[Kept]:
    """Choose exactly n of the draws: unique good ones in order, then duplicates, then anything.

    Raises:
        ValueError: fewer than n draws.
    """
    if len(texts) < n:
        raise ValueError(f"{n} outputs are wanted, but only {len(texts)} were drawn")
    draws = [Kept(index, status) for index, status in enumerate(classify_draws(texts, forbidden))]
    rank = {"unique": 0, "duplicate": 1, "forbidden": 2, "empty": 2}
    return sorted(draws, key=lambda kept: rank[kept.status])[:n]  # stable: the order of generation stays
