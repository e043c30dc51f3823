"""What arms beyond the plain ones write: joint outputs, and a refinement model's figures."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates, Table


class JointOutputs(Table):
    """Feedback and refinement that a model wrote jointly on one initial output of each test input.

    `status` is "parsed", or what the strict parser found wrong; then feedback and refinement are empty.
    `output_by` names who wrote the initial output: the split, or a model.
    """

    example_id: Series[str]
    model: Series[str]
    output_by: Series[str]
    initial_output: Series[str]
    status: Series[str] = pa.Field(isin=["parsed", "no_marker", "several_markers", "no_end", "several_ends", "empty"])
    feedback: Series[str]
    refinement: Series[str]
    raw_text: Series[str]
    finish_reason: Series[str]
    n_tokens: Series[int]
    seed: Series[int]

    class Config:
        unique = ["example_id", "model"]


class RefinerMetrics(Estimates):
    """One figure of the refinements that one refiner wrote of the development split's initial outputs.

    `refiner` is "refiner" (the catalog's) or a finetuned refinement model; a metric that ends in
    "_minus_refiner" is the difference from the catalog's, paired by example.
    """

    refiner: Series[str]
    metric: Series[str]

    class Config:
        unique = ["refiner", "metric"]
