"""The options of the pipeline controls."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ilf_kedro.schemas import Options


class ControlsOptions(Options):
    """What the readers' words are worth: on how many examples it is asked, and how their feedback is split.

    The first `n_examples` of the development split count; null is all of them. `points` "rules" splits the
    feedback at sentences and conjunctions, "lm" lets the catalog's instruct_rm list its points.
    """

    n_examples: int | None = Field(default=8, ge=2, strict=True)
    points: Literal["rules", "lm"] = "rules"
