"""Points of feedback, whether refinements incorporate them, and what the controls show."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates, Table


class FeedbackPoints(Table):
    """The points of an example's feedback, in their order; `split_by` is "rules" or "model:{name}"."""

    example_id: Series[str]
    point_index: Series[int] = pa.Field(ge=0)
    point: Series[str]
    split_by: Series[str]

    class Config:
        unique = ["example_id", "point_index"]


class PointScores(Table):
    """How probable it is that a refinement does what one point of the feedback asks for; null is undefined."""

    example_id: Series[str]
    method: Series[str]
    sample_index: Series[int]
    point_index: Series[int]
    score: Series[float] = pa.Field(nullable=True, ge=0, le=1)

    class Config:
        unique = ["example_id", "method", "sample_index", "point_index"]


class ControlMetrics(Estimates):
    """One figure of a refinement method, or (where `baseline` is given) its paired difference from another one.

    Every example counts once: its refinements are averaged first, and a difference is of examples that both
    methods have. `note` says why an interval is missing or unusual.
    """

    method: Series[str]
    baseline: Series[str] = pa.Field(nullable=True)
    metric: Series[str]

    class Config:
        unique = ["method", "baseline", "metric"]
