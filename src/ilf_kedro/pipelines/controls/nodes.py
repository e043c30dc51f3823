"""Chooses the examples, splits their feedback into points, asks about each, and estimates what differs."""

from __future__ import annotations

from ilf_kedro.evaluation.control_metrics import control_metrics
from ilf_kedro.language_models.protocol import Capability, LanguageModel
from ilf_kedro.pipelines.controls.options import ControlsOptions
from ilf_kedro.pipelines.requirements import asks, having_texts
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import (
    ControlMetrics,
    DataFrame,
    Examples,
    FeedbackPoints,
    PointScores,
    Refinements,
    Scores,
)
from ilf_kedro.scoring.feedback_points import list_points, point_scores, split_feedback


def choose_examples(examples: DataFrame[Examples], options: ControlsOptions) -> DataFrame[Examples]:
    """Take the first examples of the split that have an initial output and feedback.

    Raises:
        MissingColumnError: none has.
    """
    able = having_texts(examples, ["initial_output", "feedback"], user="the pipeline controls")
    chosen = able.sort_values("position", kind="stable").head(options.n_examples or len(able))
    return Examples.validate(chosen.reset_index(drop=True))


def split_feedback_by_rules(examples: DataFrame[Examples]) -> DataFrame[FeedbackPoints]:
    """Split the feedback of every example at sentences and conjunctions."""
    return split_feedback(examples)


@asks("the list of the feedback's points", instruct_rm=Capability.GENERATE)
def split_feedback_by_model(
    examples: DataFrame[Examples], instruct_rm: LanguageModel, template: PromptTemplate, seed: int
) -> DataFrame[FeedbackPoints]:
    """Let a language model list the points of every example's feedback."""
    return list_points(instruct_rm, template, examples, seed=seed)


@asks("the points of the feedback", instruct_rm=Capability.CHOICE_PROBABILITIES)
def score_points(
    examples: DataFrame[Examples],
    points: DataFrame[FeedbackPoints],
    refinements: DataFrame[Refinements],
    instruct_rm: LanguageModel,
    template: PromptTemplate,
) -> DataFrame[PointScores]:
    """Ask of every refinement and point of the real feedback whether it does what the point asks for."""
    return point_scores(instruct_rm, template, examples, points, refinements)


def measure_controls(
    scores: DataFrame[Scores], points: DataFrame[PointScores], options: ReportingOptions, seed: int
) -> DataFrame[ControlMetrics]:
    """Estimate every method's measures, and their differences paired by example."""
    bootstrap = options.bootstrap(seed)
    return control_metrics(scores, points, bootstrap)
