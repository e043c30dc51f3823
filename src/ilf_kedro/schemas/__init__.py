"""The tables that flow between nodes, and the base of all options.

Every table is long ("tidy"): one row per (example_id, sample_index), never a column per sample.
"""

from pandera.typing import DataFrame

from ilf_kedro.schemas.base import Options, RawLines, Split, UserError, text_or_empty
from ilf_kedro.schemas.evaluation import (
    JudgeAgreement,
    LogLikelihoods,
    ModelMetrics,
    Outcomes,
    PublishedResults,
    Rankings,
    RefinementMetrics,
    ScorerAgreement,
    Summaries,
    Verdicts,
    WinRates,
)
from ilf_kedro.schemas.examples import Comparisons, Examples, RejectedRows, Subsets, TextStatistics
from ilf_kedro.schemas.refinements import Refinements, Scores, Selections
from ilf_kedro.schemas.training import (
    Reliability,
    RewardModelAccuracy,
    RewardPredictions,
    Rewards,
    Targets,
    TrainingLog,
    TrainingLogs,
)

__all__ = [
    "Comparisons",
    "DataFrame",
    "Examples",
    "JudgeAgreement",
    "LogLikelihoods",
    "ModelMetrics",
    "Options",
    "Outcomes",
    "PublishedResults",
    "Rankings",
    "RawLines",
    "RefinementMetrics",
    "Refinements",
    "RejectedRows",
    "Reliability",
    "RewardModelAccuracy",
    "RewardPredictions",
    "Rewards",
    "ScorerAgreement",
    "Scores",
    "Selections",
    "Split",
    "Subsets",
    "Summaries",
    "Targets",
    "TextStatistics",
    "TrainingLog",
    "TrainingLogs",
    "UserError",
    "Verdicts",
    "WinRates",
    "text_or_empty",
]
