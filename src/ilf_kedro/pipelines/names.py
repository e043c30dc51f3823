"""The names that parameters may choose from: one list per kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, field_validator

from ilf_kedro.scoring.registry import scorers

Arm = Literal[
    "refinements",
    "references",
    "initial_outputs",
    "feedback_and_refinement",
    "best_of_n_outputs",
    "refinement_model",
    "refinements_shuffled_feedback",
    "refinements_no_feedback",
    "refinements_model_feedback",
]
Chooser = Literal["reward_model", "verifier", "judge"]  # of the best of N candidates
RefinementMethod = Literal[
    "refinement_with_feedback",
    "refinement_without_feedback",
    "refinement_with_shuffled_feedback",
    "refinement_with_model_feedback",
]
# The arms that learn from the refinements of a method that does not see the person's feedback.
CONTROL_ARMS: Mapping[Arm, RefinementMethod] = {
    "refinements_shuffled_feedback": "refinement_with_shuffled_feedback",
    "refinements_no_feedback": "refinement_without_feedback",
    "refinements_model_feedback": "refinement_with_model_feedback",
}


def _check_scorer(name: str) -> str:
    if name not in scorers():
        raise ValueError(f"found {name!r}, expected one of {', '.join(scorers())}")
    return name


ScorerName = Annotated[str, AfterValidator(_check_scorer)]


def repeated_values(values: Sequence[object]) -> str:
    """Name each value that stands there more than once."""
    return ", ".join(str(value) for value in dict.fromkeys(values) if values.count(value) > 1)


def each_once(thing: str, *fields: str) -> Callable[..., Any]:
    """Return the validator of options that refuses a `thing` which one of `fields` names more than once."""

    def check(values: Sequence[object] | None) -> Sequence[object] | None:
        if values and (repeated := repeated_values(values)):
            raise ValueError(f"each {thing} once, found {repeated} more often; name it once")
        return values

    return field_validator(*fields)(check)
