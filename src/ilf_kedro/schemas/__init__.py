"""The tables that flow between nodes, and the base of all options.

Every table is long ("tidy"): one row per (example_id, sample_index), never a column per sample.
"""

from pandera.typing import DataFrame

from ilf_kedro.schemas.analysis import (
    ArmTargets,
    Divergences,
    DivergenceSamples,
    MissingTargets,
    TargetLikelihoods,
    TargetLogLikelihoods,
)
from ilf_kedro.schemas.annotators import AnnotatorFigures
from ilf_kedro.schemas.audit import FeedbackFlags, Overlaps
from ilf_kedro.schemas.base import Options, Split, UserError, text_or_empty
from ilf_kedro.schemas.contrasts import Contrasts, CorrectedWinRates, JudgeFigures, Measurements, Standings
from ilf_kedro.schemas.controls import ControlMetrics, FeedbackPoints, PointScores
from ilf_kedro.schemas.evaluation import (
    JudgeAgreement,
    LogLikelihoods,
    ModelMetrics,
    Outcomes,
    Outputs,
    PassRates,
    PublishedResults,
    Rankings,
    RefinementMetrics,
    ScorerAgreement,
    Verdicts,
    Verified,
    WinRates,
)
from ilf_kedro.schemas.examples import (
    SPLITS,
    Comparisons,
    Examples,
    NearDuplicatePairs,
    Offers,
    RejectedRows,
    Subsets,
    TextStatistics,
    WithInputs,
)
from ilf_kedro.schemas.export import (
    ChatRecords,
    ImplicitPreferenceRecords,
    OpenAIChatRecords,
    PreferenceRecords,
    PrivilegedRecords,
    SupervisedRecords,
)
from ilf_kedro.schemas.faults import Fault, InvalidDataError, printable, show_value
from ilf_kedro.schemas.finetune_arms import JointOutputs, RefinerMetrics
from ilf_kedro.schemas.lineage import TrainingRows
from ilf_kedro.schemas.raw import RawRow, RawRows, RowSource, plain_value, raw_rows
from ilf_kedro.schemas.refinements import (
    FeedbackTexts,
    RankedSelections,
    Refinements,
    Scores,
    Selections,
    TemplateDisagreement,
    UndefinedScores,
)
from ilf_kedro.schemas.rounds import RoundExamples, RoundMetrics, RoundModels, RoundTargets
from ilf_kedro.schemas.suggestions import nearest
from ilf_kedro.schemas.sweep import SweepWinners, Trials
from ilf_kedro.schemas.tournament import RankedCandidates, ScorerContests, ScorerCosts, ScorerMetrics
from ilf_kedro.schemas.training import (
    BestOfN,
    Reliability,
    RewardModelAccuracies,
    RewardModelAccuracy,
    RewardModelBreakdown,
    RewardModelBreakdowns,
    RewardPredictions,
    Rewards,
    Targets,
    TrainingLog,
    TrainingLogs,
)

__all__ = [
    "SPLITS",
    "AnnotatorFigures",
    "ArmTargets",
    "BestOfN",
    "ChatRecords",
    "Comparisons",
    "Contrasts",
    "ControlMetrics",
    "CorrectedWinRates",
    "DataFrame",
    "DivergenceSamples",
    "Divergences",
    "Examples",
    "Fault",
    "FeedbackFlags",
    "FeedbackPoints",
    "FeedbackTexts",
    "ImplicitPreferenceRecords",
    "InvalidDataError",
    "JointOutputs",
    "JudgeAgreement",
    "JudgeFigures",
    "LogLikelihoods",
    "Measurements",
    "MissingTargets",
    "ModelMetrics",
    "NearDuplicatePairs",
    "Offers",
    "OpenAIChatRecords",
    "Options",
    "Outcomes",
    "Outputs",
    "Overlaps",
    "PassRates",
    "PointScores",
    "PreferenceRecords",
    "PrivilegedRecords",
    "PublishedResults",
    "RankedCandidates",
    "RankedSelections",
    "Rankings",
    "RawRow",
    "RawRows",
    "RefinementMetrics",
    "Refinements",
    "RefinerMetrics",
    "RejectedRows",
    "Reliability",
    "RewardModelAccuracies",
    "RewardModelAccuracy",
    "RewardModelBreakdown",
    "RewardModelBreakdowns",
    "RewardPredictions",
    "Rewards",
    "RoundExamples",
    "RoundMetrics",
    "RoundModels",
    "RoundTargets",
    "RowSource",
    "ScorerAgreement",
    "ScorerContests",
    "ScorerCosts",
    "ScorerMetrics",
    "Scores",
    "Selections",
    "Split",
    "Standings",
    "Subsets",
    "SupervisedRecords",
    "SweepWinners",
    "TargetLikelihoods",
    "TargetLogLikelihoods",
    "Targets",
    "TemplateDisagreement",
    "TextStatistics",
    "TrainingLog",
    "TrainingLogs",
    "TrainingRows",
    "Trials",
    "UndefinedScores",
    "UserError",
    "Verdicts",
    "Verified",
    "WinRates",
    "WithInputs",
    "nearest",
    "plain_value",
    "printable",
    "raw_rows",
    "show_value",
    "text_or_empty",
]
