"""The names that parameters may choose from: one list per kind of thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Arm = Literal["refinements", "human_summaries", "initial_summaries"]
RefinementMethod = Literal["refinement_with_feedback", "refinement_without_feedback"]
ScorerName = Literal[
    "random",
    "longest",
    "instruct_rm_1",
    "instruct_rm_2",
    "instruct_rm_3",
    "instruct_rm_4",
    "instruct_rm_5",
    "instruct_rm_ensemble",
]


def repeated_values(values: Sequence[object]) -> str:
    """Name each value that stands there more than once."""
    return ", ".join(str(value) for value in dict.fromkeys(values) if values.count(value) > 1)
