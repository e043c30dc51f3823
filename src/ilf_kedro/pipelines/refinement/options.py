"""The options of the pipeline refinement."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.pipelines.names import RefinementMethod, each_once
from ilf_kedro.schemas import Options

_SHOWN: tuple[RefinementMethod, ...] = ("refinement_with_feedback", "refinement_without_feedback")


class RefinementOptions(Options):
    """N refinements per example (paper: 5), sampled again once where they are degenerate.

    `methods` may have, besides refinements with and without the feedback, two controls: with the feedback of
    another example, and with feedback that the refiner wrote itself, sampled by `feedback_sampling`.
    `refiner` is who writes them: the catalog's refiner, or a refinement model, which is finetuned on people's
    refinements of the last `n_written` training examples (null: as many as the largest train size).
    `max_tries` outputs at most are drawn per example (2N where null); a text that contains one of
    `forbidden` (case-insensitive) is degenerate.
    """

    methods: tuple[RefinementMethod, ...] = _SHOWN
    refiner: Literal["refiner", "refinement_model"] = "refiner"
    n_written: int | None = Field(default=None, ge=1)
    n_refinements: int = Field(default=5, ge=1)
    sampling: SamplingOptions = SamplingOptions()
    max_tries: int | None = Field(default=None, ge=1)
    forbidden: tuple[str, ...] = ()
    feedback_sampling: SamplingOptions = SamplingOptions(max_new_tokens=96)

    _each_once = each_once("method", "methods")

    @field_validator("methods")
    @classmethod
    def _check_methods(cls, methods: tuple[RefinementMethod, ...]) -> tuple[RefinementMethod, ...]:
        if missing := [method for method in _SHOWN if method not in methods]:
            raise ValueError(f"found no {' and no '.join(missing)}, which targets and report are made of; add both")
        return methods

    @model_validator(mode="after")
    def _check_tries(self) -> Self:
        if self.max_tries is not None and self.max_tries < self.n_refinements:
            raise ValueError(f"max_tries ({self.max_tries}) must be at least n_refinements ({self.n_refinements})")
        return self
