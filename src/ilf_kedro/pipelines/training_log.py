"""The table of losses that goes with every checkpoint."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.schemas import DataFrame, TrainingLog


def training_log(checkpoint: Checkpoint) -> DataFrame[TrainingLog]:
    """Return the loss per optimiser step that the checkpoint's record holds, and of how many examples."""
    record = checkpoint.record
    log = pd.DataFrame(record.log, columns=TrainingLog.column_names())
    return TrainingLog.validate(log.assign(n_examples=record.n_examples, n_truncated=record.n_truncated))
