"""The options of the pipeline analysis."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ilf_kedro.schemas import Options


class AnalysisOptions(Options):
    """Which held-out split the arms' targets come from, and how much is sampled for divergences.

    Conditional samples continue the test inputs' prompts by at most `max_new_tokens` tokens; unconditional
    ones the start of a text by at most `unconditional_tokens` (paper: 64). Temperature is 1, without top-p or
    top-k: anything else biases the estimate, so neither is an option. One sample per input leaves the error
    due to sampling unknown apart.
    """

    split: Literal["development", "validation"] = "validation"
    samples_per_input: int = Field(default=4, ge=1)
    max_new_tokens: int = Field(default=48, ge=1)
    unconditional_samples: int = Field(default=64, ge=2)
    unconditional_tokens: int = Field(default=64, ge=1)
