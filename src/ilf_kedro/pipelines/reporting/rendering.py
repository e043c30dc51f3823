"""Renders the report: jinja2 with autoescape, Plotly embedded once, no request to anywhere."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import plotly.graph_objects as go

from ilf_kedro.evaluation.win_rates import ConsistentVerdicts
from ilf_kedro.pipelines.names import Chooser
from ilf_kedro.pipelines.reporting.findings import FEW_INPUTS, consistent_sentence, opening, weak_models
from ilf_kedro.pipelines.reporting.main_table import main_table
from ilf_kedro.pipelines.reporting.published import beside_ours
from ilf_kedro.pipelines.reporting.trainings import Training
from ilf_kedro.pipelines.reporting.walk_through import ExampleWalk, WalkedExample
from ilf_kedro.report.labels import in_order, model_label
from ilf_kedro.report.sections import Section, page_assets, page_environment
from ilf_kedro.report.sources import origins
from ilf_kedro.report.vocabulary import Vocabulary
from ilf_kedro.schemas import (
    DataFrame,
    JudgeAgreement,
    ModelMetrics,
    PublishedResults,
    RefinementMetrics,
    RejectedRows,
    RewardModelAccuracy,
    TextStatistics,
)
from ilf_kedro.schemas.run_record import RunRecord
from ilf_kedro.tasks import Words

__all__ = ["Report", "render_report"]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the report shows; `figures` by their names in the catalog.

    `left_out` are sentences on what the data lack, `sections` those of further analyses; `is_embedded_sample` is
    whether the inputs are the project's own, `is_code` whether outputs are programs; `words` say what an input and an
    output are called.
    """

    metrics: DataFrame[ModelMetrics]
    agreement: DataFrame[JudgeAgreement]
    verdicts: ConsistentVerdicts
    accuracy: DataFrame[RewardModelAccuracy]
    refinement_metrics: DataFrame[RefinementMetrics]
    statistics: DataFrame[TextStatistics]
    rejected: DataFrame[RejectedRows]
    left_out: tuple[str, ...]
    published: DataFrame[PublishedResults]
    trainings: tuple[Training, ...]
    best_of_n: int
    example: ExampleWalk | None
    test_example: WalkedExample | None
    n_test: int
    is_embedded_sample: bool
    is_code: bool
    figures: Mapping[str, go.Figure]
    run: RunRecord
    confidence: float
    words: Words
    sections: tuple[Section, ...] = ()
    best_of_n_from: str | None = None
    best_of_n_by: Chooser = "reward_model"
    pass_rates: Section | None = None


def render_report(report: Report) -> str:
    """Return the report as one HTML file that loads nothing from elsewhere."""
    vocabulary = Vocabulary(report.words)
    template = page_environment("ilf_kedro.pipelines.reporting").get_template("report.html.j2")
    sections = (*report.sections, *([report.pass_rates] if report.pass_rates else []))
    section_figures = {name: figure for section in sections for name, figure in section.figures.items()}
    page = template.render(
        report=report,
        opening=opening(
            report.metrics,
            report.agreement,
            report.verdicts,
            report.accuracy,
            report.trainings,
            n_test=report.n_test,
            confidence=report.confidence,
        ),
        models=main_table(
            report.metrics,
            report.trainings,
            report.best_of_n,
            report.best_of_n_from,
            "reward" if report.best_of_n_by == "reward_model" else f"the {report.best_of_n_by}",
        ),
        consistent=consistent_sentence(report.verdicts),
        labels=partial(model_label, best_of_n=report.best_of_n),
        agreement=_by_model(report.agreement),
        accuracy=report.accuracy.to_dict("records"),
        judges=sorted(report.agreement["judged_by"].unique()),
        weak_models=weak_models(report.run, report.agreement["judged_by"]),
        few=report.n_test < FEW_INPUTS,
        comparisons=beside_ours(
            report.published,
            report.metrics,
            report.refinement_metrics,
            report.accuracy,
            report.statistics,
            report.best_of_n,
        ),
        published=report.published.to_dict("records"),
        statistics=[row for row in report.statistics.to_dict("records") if row["n"]],
        set_aside=_set_aside(report.rejected),
        parameters=json.dumps(report.run.parameters, indent=2, ensure_ascii=False),
        sections=report.sections,
        origins=origins(report.run),
        **page_assets({**report.figures, **section_figures}, vocabulary),
    )
    return vocabulary.page(page)


def _set_aside(rejected: DataFrame[RejectedRows]) -> list[str]:
    """Say for each file how many rows are faulty, however many faults they have; row 0 stands for the whole file."""
    phrases = []
    for file, rows in rejected.groupby("file")["row"]:
        n_rows = rows[rows > 0].nunique()
        if n_rows:
            phrases.append(f"{n_rows:,} {'row' if n_rows == 1 else 'rows'} of {file}")
        if (rows == 0).any():
            phrases.append(f"{file} as a whole")
    return phrases


def _by_model(agreement: DataFrame[JudgeAgreement]) -> list[dict[Hashable, Any]]:
    """Return the rows with all models together first, then each model in the report's order."""
    order = {model: place for place, model in enumerate(["all", *in_order(set(agreement["model"]) - {"all"})])}
    return agreement.sort_values("model", key=lambda models: models.map(order)).to_dict("records")
