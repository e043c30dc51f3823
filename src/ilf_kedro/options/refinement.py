"""The options of the pipeline refinement."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.schemas import Options


class RefinementOptions(Options):
    """N refinements per example (paper: 5), sampled again once where they are degenerate.

    `max_tries` outputs at most are drawn per example (2N where null); a text that contains one of
    `forbidden` (case-insensitive) is degenerate.
    """

    n_refinements: int = Field(default=5, ge=1)
    sampling: SamplingOptions = SamplingOptions()
    max_tries: int | None = Field(default=None, ge=1)
    forbidden: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_tries(self) -> Self:
        if self.max_tries is not None and self.max_tries < self.n_refinements:
            raise ValueError(f"max_tries ({self.max_tries}) must be at least n_refinements ({self.n_refinements})")
        return self
