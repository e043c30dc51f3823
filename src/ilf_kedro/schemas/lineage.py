"""Where what a model learned from came from."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table


class TrainingRows(Table):
    """What a model was finetuned on, row by row, with who wrote it and whose feedback led to it.

    `written_by` is annotator, base_model, or the method of the refinement, which `sample_index` and the target
    scorer's `score` tell apart; both are null for others.
    """

    model: Series[str]
    example_id: Series[str]
    target: Series[str]
    written_by: Series[str]
    sample_index: Series[float] = pa.Field(nullable=True)
    score: Series[float] = pa.Field(nullable=True)
    feedback: Series[str] = pa.Field(nullable=True)
    annotator: Series[str] = pa.Field(nullable=True)
