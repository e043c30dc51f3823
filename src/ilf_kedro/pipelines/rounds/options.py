"""The options of the pipeline rounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.pipelines.names import each_once
from ilf_kedro.schemas import Options

RoundMode = Literal["continue", "from_scratch"]


class RoundsOptions(Options):
    """Rounds of feedback, refinement and finetuning (paper, section on iterative refinement).

    `sizes` are the numbers of examples of round 0, 1, …, taken from the train split in its order. A later round
    goes on from the last model (continue) or trains the base model on the targets of all rounds (from_scratch).
    Its feedback is on outputs by the last model (own) or by the base model, and comes from the `refiner`
    (model) or from a file that people fill in.
    """

    sizes: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = Field(default=(100, 100, 100), min_length=2)
    modes: tuple[RoundMode, ...] = Field(default=("continue", "from_scratch"), min_length=1)
    outputs_of: Literal["own", "base"] = "own"
    feedback_by: Literal["model", "file"] = "model"
    feedback_sampling: SamplingOptions = SamplingOptions(max_new_tokens=96)

    _each_once = each_once("mode", "modes")
