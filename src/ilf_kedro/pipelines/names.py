"""The names that parameters may choose from: one list per kind of thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator

from ilf_kedro.scoring.registry import scorers

Arm = Literal[
    "refinements",
    "references",
    "initial_outputs",
    "feedback_and_refinement",
    "best_of_n_outputs",
    "refinement_model",
]
RefinementMethod = Literal[
    "refinement_with_feedback",
    "refinement_without_feedback",
    "refinement_with_shuffled_feedback",
    "refinement_with_model_feedback",
]


def _check_scorer(name: str) -> str:
    if name not in scorers():
        raise ValueError(f"found {name!r}, expected one of {', '.join(scorers())}")
    return name


ScorerName = Annotated[str, AfterValidator(_check_scorer)]


def repeated_values(values: Sequence[object]) -> str:
    """Name each value that stands there more than once."""
    return ", ".join(str(value) for value in dict.fromkeys(values) if values.count(value) > 1)
