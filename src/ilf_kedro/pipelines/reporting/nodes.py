"""Thin nodes: collect, measure, judge, draw, and write the report."""

from __future__ import annotations

from typing import TypeVar

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation import judging, model_metrics, refinement_metrics, win_rates
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import Capability, LanguageModel, TokenCounter
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.reporting import comparison_figures, figures
from ilf_kedro.pipelines.reporting.rendering import Report, render_report
from ilf_kedro.pipelines.reporting.trainings import trainings
from ilf_kedro.pipelines.reporting.walk_through import first_test_example, walk_through
from ilf_kedro.pipelines.requirements import asks
from ilf_kedro.pipelines.reward_model.inputs import reward_model_from
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import Section
from ilf_kedro.reward_models import reward_outputs
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    JudgeAgreement,
    LogLikelihoods,
    ModelMetrics,
    Offers,
    Outcomes,
    Outputs,
    PublishedResults,
    RefinementMetrics,
    Refinements,
    RejectedRows,
    Reliability,
    RewardModelAccuracy,
    RewardModelBreakdown,
    Rewards,
    ScorerAgreement,
    Scores,
    Selections,
    TextStatistics,
    TrainingLog,
    TrainingLogs,
    Verdicts,
    WinRates,
)
from ilf_kedro.schemas.base import Table
from ilf_kedro.schemas.run_record import RunRecord
from ilf_kedro.tasks import Offer, Task, left_out

TableT = TypeVar("TableT", bound=Table)

_SAMPLE_PREFIX = "sample-"  # of the ids in data/01_raw/slf5k_sample


def collect_outputs(*tables: DataFrame[Outputs]) -> DataFrame[Outputs]:
    """Put the outputs of all models into one table."""
    return Outputs.validate(pd.concat(tables, ignore_index=True))


def collect_log_likelihoods(*tables: DataFrame[LogLikelihoods]) -> DataFrame[LogLikelihoods]:
    """Put the log-likelihoods under all models into one table."""
    return LogLikelihoods.validate(pd.concat(tables, ignore_index=True))


def collect_training_logs(**logs: DataFrame[TrainingLog]) -> DataFrame[TrainingLogs]:
    """Put the logs of all trainings into one table, each under its model's name."""
    named = [log.assign(model=model) for model, log in logs.items()]
    return TrainingLogs.validate(pd.concat(named, ignore_index=True))


def score_rewards(
    reward_base_model: LanguageModel,
    checkpoint: Checkpoint,
    reward_model: RewardModelOptions,
    template: PromptTemplate,
    pair_template: PromptTemplate,
    examples: DataFrame[Examples],
    outputs: DataFrame[Outputs],
) -> DataFrame[Rewards]:
    """Score every output, and the human ones, by the reward model; an empty output gets the lowest reward."""
    table = model_metrics.with_references(examples, outputs)
    model = reward_model_from(reward_base_model, checkpoint, reward_model, template, pair_template)
    table["reward"] = reward_outputs(model, examples, table, of_empty=0.0)
    return Rewards.validate(table[["example_id", "model", "sample_index", "reward"]])


@asks("the judge", judge=Capability.CHOICE_PROBABILITIES)
def judge_models(
    judge: LanguageModel,
    template: PromptTemplate,
    examples: DataFrame[Examples],
    outputs: DataFrame[Outputs],
    options: ReportingOptions,
) -> DataFrame[Verdicts]:
    """Ask a language model, in both orders, whether each model's output or the human one is better."""
    return judging.judge_outputs(judge, template, examples, outputs, n_judged=options.n_judged)


def count_wins(
    verdicts: DataFrame[Verdicts], options: ReportingOptions
) -> tuple[DataFrame[Outcomes], DataFrame[WinRates], DataFrame[JudgeAgreement]]:
    """Count wins where both orders agree, and how often they do."""
    outcomes = win_rates.outcomes_from_verdicts(verdicts)
    agreement = win_rates.judge_agreement(verdicts, confidence=options.confidence)
    return outcomes, win_rates.win_rates(outcomes), agreement


def measure_models(
    examples: DataFrame[Examples],
    outputs: DataFrame[Outputs],
    base_model: TokenCounter,
    options: ReportingOptions,
    seed: int,
    task: Task,
    log_likelihoods: DataFrame[LogLikelihoods] | None = None,
    outcomes: DataFrame[Outcomes] | None = None,
    rewards: DataFrame[Rewards] | None = None,
) -> DataFrame[ModelMetrics]:
    """Estimate every metric of every model that there are tables for, with errors over test inputs."""
    return model_metrics.model_metrics(
        examples,
        outputs,
        _or_empty(LogLikelihoods, log_likelihoods),
        _or_empty(Rewards, rewards),
        _or_empty(Outcomes, outcomes),
        chosen=task.output.metrics,
        count_tokens=base_model.count_tokens,
        bootstrap=options.bootstrap(seed),
    )


def compare_refinements(
    scores: DataFrame[Scores], selections: DataFrame[Selections], options: ReportingOptions, seed: int
) -> tuple[DataFrame[RefinementMetrics], DataFrame[ScorerAgreement]]:
    """Compare refinement methods and scorers by InstructRM's score, by length and by agreement."""
    compared = refinement_metrics.refinement_metrics(scores, selections, options.bootstrap(seed))
    return compared, refinement_metrics.scorer_agreement(selections)


def draw_scaling(metrics: DataFrame[ModelMetrics], options: ReportingOptions, finetune: FinetuneOptions) -> go.Figure:
    """Draw every metric over the train size, one curve per arm."""
    return figures.scaling_figure(metrics, options.confidence, finetune.best_of_n, finetune.best_of_n_from)


def draw_refinement_methods(metrics: DataFrame[RefinementMetrics], options: ReportingOptions) -> go.Figure:
    """Draw refinements with feedback beside those without."""
    return comparison_figures.refinement_methods_figure(metrics, options.confidence)


def draw_scorers(
    metrics: DataFrame[RefinementMetrics], agreement: DataFrame[ScorerAgreement], options: ReportingOptions
) -> go.Figure:
    """Draw what each scorer chooses, and who chooses alike."""
    return comparison_figures.scorers_figure(metrics, agreement, options.confidence)


def draw_reward_model(
    accuracy: DataFrame[RewardModelAccuracy],
    reliability: DataFrame[Reliability],
    breakdown: DataFrame[RewardModelBreakdown],
) -> go.Figure:
    """Draw the reward model's accuracy, also by length, and, given enough comparisons, its reliability curve."""
    return comparison_figures.reward_model_figure(accuracy, reliability, breakdown)


def draw_training_loss(logs: DataFrame[TrainingLogs]) -> go.Figure:
    """Draw the loss of every training."""
    return figures.training_loss_figure(logs)


def write_report(
    *,
    train: DataFrame[Examples],
    test: DataFrame[Examples],
    text_statistics: DataFrame[TextStatistics],
    rejected_rows: DataFrame[RejectedRows],
    offered: DataFrame[Offers],
    published: DataFrame[PublishedResults],
    run_record: RunRecord,
    task: Task,
    options: ReportingOptions,
    selection: SelectionOptions,
    finetune: FinetuneOptions,
    refinements: DataFrame[Refinements] | None = None,
    scores: DataFrame[Scores] | None = None,
    selections: DataFrame[Selections] | None = None,
    compared: DataFrame[RefinementMetrics] | None = None,
    refinement_methods: go.Figure | None = None,
    scorers: go.Figure | None = None,
    outputs: DataFrame[Outputs] | None = None,
    metrics: DataFrame[ModelMetrics] | None = None,
    scaling: go.Figure | None = None,
    outcomes: DataFrame[Outcomes] | None = None,
    agreement: DataFrame[JudgeAgreement] | None = None,
    training_logs: DataFrame[TrainingLogs] | None = None,
    training_loss: go.Figure | None = None,
    rewards: DataFrame[Rewards] | None = None,
    accuracy: DataFrame[RewardModelAccuracy] | None = None,
    reward_model: go.Figure | None = None,
    pass_rates: Section | None = None,
    **sections: Section,
) -> str:
    """Write everything into one HTML file that opens without a network.

    What is None was left out, for the data lack what it needs; the report says so.
    """
    rewards, outputs = _or_empty(Rewards, rewards), _or_empty(Outputs, outputs)
    outcomes, refinements = _or_empty(Outcomes, outcomes), _or_empty(Refinements, refinements)
    scores, selections = _or_empty(Scores, scores), _or_empty(Selections, selections)
    figures_ = {
        "scaling": scaling,
        "refinement_methods": refinement_methods,
        "scorers": scorers,
        "reward_model": reward_model,
        "training_loss": training_loss,
    }
    return render_report(
        Report(
            metrics=_or_empty(ModelMetrics, metrics),
            agreement=_or_empty(JudgeAgreement, agreement),
            verdicts=win_rates.consistent_verdicts(outcomes, outputs, test),
            accuracy=_or_empty(RewardModelAccuracy, accuracy),
            refinement_metrics=_or_empty(RefinementMetrics, compared),
            statistics=text_statistics,
            rejected=rejected_rows,
            left_out=tuple(left_out(task, Offer.from_table(task, offered))),
            published=published,
            trainings=trainings(_or_empty(TrainingLogs, training_logs)),
            best_of_n=finetune.best_of_n,
            best_of_n_from=finetune.best_of_n_from,
            best_of_n_by=finetune.best_of_n_by or "reward_model",
            example=walk_through(train, refinements, scores, selections, selection.target_scorer),
            test_example=first_test_example(test, outputs, rewards, outcomes, finetune.best_of_n),
            n_test=len(test),
            is_embedded_sample=bool(test["example_id"].str.startswith(_SAMPLE_PREFIX).any()),
            is_code=task.output.clean == "code",
            figures={name: figure for name, figure in figures_.items() if figure is not None},
            run=run_record,
            confidence=options.confidence,
            words=task.words,
            sections=tuple(sections.values()),
            pass_rates=pass_rates,
        )
    )


def _or_empty(schema: type[TableT], table: DataFrame[TableT] | None) -> DataFrame[TableT]:
    return schema.from_rows([]) if table is None else table
