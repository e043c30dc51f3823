"""What a local model did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RunStatistics:
    """What a model did since it was made; run records show it.

    `hits` and `misses` count answers; `n_asked` the tokens that one prompt and one answer at a time would
    have computed, `n_computed` those that were; `n_truncated` prompts whose input was cut, by `n_truncated_tokens`
    tokens in all.
    """

    hits: int = 0
    misses: int = 0
    n_asked: int = 0
    n_computed: int = 0
    n_truncated: int = 0
    n_truncated_tokens: int = 0
