"""The options of the pipeline rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.pipelines.names import each_once
from ilf_kedro.schemas import Options

RoundMode = Literal["continue", "from_scratch"]


class AnnotatorOptions(Options):
    """A function that gives feedback in place of people: what it is called, and its keyword arguments.

    `callable` is package.module:function or path/to/file.py:function. It takes a `verifiers.Row`, whose output is to be
    commented on, and returns the feedback; an empty one leaves the example out. It must depend on its arguments alone.
    """

    callable: str
    arguments: Mapping[str, bool | int | float | str | tuple[str, ...]] = Field(default_factory=dict)


class RoundsOptions(Options):
    """Rounds of feedback, refinement and finetuning (paper, section on iterative refinement).

    `sizes` are the numbers of examples of round 0, 1, …, taken from the train split in its order. A later round
    goes on from the last model (continue) or trains the base model on the targets of all rounds (from_scratch).
    Its feedback is on outputs by the last model (own) or by the base model, and comes from the `refiner`
    (model), from a file that people fill in, or from the function `annotator`.
    """

    sizes: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = Field(default=(100, 100, 100), min_length=2)
    modes: tuple[RoundMode, ...] = Field(default=("continue", "from_scratch"), min_length=1)
    outputs_of: Literal["own", "base"] = "own"
    feedback_by: Literal["model", "file", "function"] = "model"
    annotator: AnnotatorOptions | None = None
    feedback_sampling: SamplingOptions = SamplingOptions(max_new_tokens=96)

    _each_once = each_once("mode", "modes")

    @model_validator(mode="after")
    def _check_annotator(self) -> Self:
        if self.feedback_by == "function" and self.annotator is None:
            raise ValueError("feedback_by is function, but annotator is null; say which function as annotator.callable")
        return self
