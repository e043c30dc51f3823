"""Thin nodes: flag feedback, and find test texts in the training data."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation import contamination, feedback_flags
from ilf_kedro.schemas import DataFrame, Examples, FeedbackFlags, Overlaps


def find_flags(*splits: DataFrame[Examples]) -> DataFrame[FeedbackFlags]:
    """Flag the feedback of all splits together, for it may repeat between them."""
    return feedback_flags.flag_feedback(DataFrame[Examples](pd.concat(splits, ignore_index=True)))


def find_overlaps(train: DataFrame[Examples], test: DataFrame[Examples]) -> DataFrame[Overlaps]:
    """Measure how much of the test texts the training texts hold."""
    return contamination.overlaps(train, test)
