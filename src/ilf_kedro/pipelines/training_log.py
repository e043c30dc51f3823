"""The table of losses that goes with every checkpoint."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoint import Checkpoint
from ilf_kedro.schemas import DataFrame, TrainingLog


def training_log(checkpoint: Checkpoint) -> DataFrame[TrainingLog]:
    """Return the loss per optimiser step that the checkpoint's record holds."""
    columns = list(TrainingLog.to_schema().columns)
    return TrainingLog.validate(pd.DataFrame(checkpoint.record.log, columns=columns))
