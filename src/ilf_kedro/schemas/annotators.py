"""How annotators did."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates


class AnnotatorFigures(Estimates):
    """One figure of one annotator (a pseudonym), or of all together, over the items that they answered.

    Metrics: skipped (share), gold_accuracy, agreement (with each other annotator of an item, ties counted ½ against a
    preference), alpha (Krippendorff's, of all), ties, prefers_first (of preferences, for what stood first),
    prefers_longer (of preferences between unequal lengths), seconds and seconds_per_100_words (active time of an
    answer, and by the words that it was about), and the change from the first to the second half of their answers in
    agreement_drift and seconds_drift. What cannot be estimated is null.
    """

    annotator: Series[str]
    metric: Series[str]
    value: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["annotator", "metric"]
