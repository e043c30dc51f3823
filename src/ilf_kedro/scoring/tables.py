"""From scores in the order of the refinements to the one tidy table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ilf_kedro.schemas import DataFrame, Refinements, Scores


def score_table(refinements: DataFrame[Refinements], scorer: str, scores: Sequence[float | None]) -> DataFrame[Scores]:
    """Return one row per refinement with its score by `scorer`; an empty refinement's score is null."""
    table = refinements[["example_id", "method", "sample_index"]].copy()
    table["scorer"] = scorer
    values = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    table["score"] = pd.Series(values, index=table.index).where(refinements["text"] != "")
    return Scores.validate(table)
