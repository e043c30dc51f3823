"""What the controls show, as a section of the report and a page of its own."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from ilf_kedro.evaluation.control_metrics import CONTRASTS, METRICS, WITHOUT
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.pipelines.controls.examples_shown import one_example, points_of_example
from ilf_kedro.pipelines.controls.figure import MEASURES, contrast_label, differences_figure
from ilf_kedro.report.labels import number_or_none, words_of
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import (
    ControlMetrics,
    DataFrame,
    Examples,
    FeedbackPoints,
    FeedbackTexts,
    PointScores,
    Refinements,
    Selections,
    UndefinedScores,
)
from ilf_kedro.schemas.names import WITH_FEEDBACK

SHUFFLED = "refinement_with_shuffled_feedback"
_PROSE = Prose(__package__)
_FEW = 30


def describe_controls(
    examples: DataFrame[Examples],
    feedback_shuffled: DataFrame[FeedbackTexts],
    feedback_model: DataFrame[FeedbackTexts],
    refinements: DataFrame[Refinements],
    selections: DataFrame[Selections],
    points: DataFrame[FeedbackPoints],
    point_scores: DataFrame[PointScores],
    metrics: DataFrame[ControlMetrics],
    undefined: DataFrame[UndefinedScores],
    options: ReportingOptions,
    refiner: LanguageModel,
    instruct_rm: LanguageModel,
) -> Section:
    """Describe what the words of the feedback were worth: in a sentence first, then by method, point and input."""
    first, confidence = examples.iloc[0], options.confidence
    parts: list[Part] = [
        Paragraph(_lead(metrics, refiner.name, instruct_rm.name, confidence), lead=True),
        Paragraph(_how_to_read(examples, refinements, feedback_model, instruct_rm.name)),
        Table(
            _method_table(metrics),
            _PROSE.methods_table(),
            sources=("controls.metrics",),
            column_digits={MEASURES["length_tokens"]: 1},
        ),
        Figure(
            "differences",
            differences_figure(metrics, confidence),
            _PROSE.differences_figure(confidence),
            sources=("controls.metrics",),
        ),
        Table(
            _difference_table(metrics), _PROSE.differences_table(confidence), sources=("controls.metrics",), prose=True
        ),
        *_undefined_parts(undefined),
        Heading("Point by point"),
        Paragraph(_points_sentence(points)),
        Table(
            points_of_example(first, points, point_scores),
            _PROSE.points_table(first["example_id"]),
            sources=("controls.points", "controls.point_scores"),
            digits=2,
            prose=True,
        ),
        Heading("One example"),
        Table(
            one_example(first, feedback_shuffled, feedback_model, selections),
            _PROSE.one_example_table(first["example_id"], first["initial_output"]),
            sources=(
                "controls.examples",
                "controls.feedback.shuffled",
                "controls.feedback.model",
                "controls.selections",
            ),
            prose=True,
        ),
    ]
    return Section("controls", "What the words of the feedback were worth", tuple(parts))


def _lead(metrics: pd.DataFrame, refiner: str, instruct_rm: str, confidence: float) -> str:
    """Say whether the words helped, claiming so only where intervals leave 0 out against both controls."""
    measures = []
    for metric, name in (("instruct_rm_ensemble", "InstructRM score"), ("points_incorporated", "Share of points done")):
        real = _value(metrics, WITH_FEEDBACK, None, metric)
        if real is not None:
            differences = [
                f"{_difference(found, confidence)} against {against}"
                for baseline, against in ((WITHOUT, "no feedback"), (SHUFFLED, "another input's feedback"))
                if (found := _value(metrics, WITH_FEEDBACK, baseline, metric)) is not None
            ]
            measures.append({"name": name, "value": real["value"], "differences": differences})
    n = int(metrics.loc[metrics["method"] == WITH_FEEDBACK, "n"].max())
    return _PROSE.lead(_verdict(metrics), measures, n, refiner, instruct_rm)


def _verdict(metrics: pd.DataFrame) -> Literal["better", "worse", "not shown"]:
    rows = [_value(metrics, WITH_FEEDBACK, baseline, "instruct_rm_ensemble") for baseline in (WITHOUT, SHUFFLED)]
    rows += [_value(metrics, WITH_FEEDBACK, baseline, "points_incorporated") for baseline in (WITHOUT, SHUFFLED)]
    known = [row for row in rows if row is not None and pd.notna(row["lower"])]
    if len(known) == len(rows) and all(row["lower"] > 0 for row in known):
        return "better"
    if len(known) == len(rows) and all(row["upper"] < 0 for row in known):
        return "worse"
    return "not shown"


def _difference(row: pd.Series, confidence: float | None = None, digits: int = 3) -> str:
    """Return a difference with its interval, such as "+0.010 (95% interval −0.004 to +0.021)"."""
    return _PROSE.difference(
        row["value"], number_or_none(row["lower"]), number_or_none(row["upper"]), digits, confidence
    )


def _how_to_read(
    examples: pd.DataFrame, refinements: pd.DataFrame, feedback_model: pd.DataFrame, instruct_rm: str
) -> str:
    n = len(examples)
    return _PROSE.how_to_read(
        n,
        len(refinements) / max(1, refinements[["example_id", "method"]].drop_duplicates().shape[0]),
        instruct_rm,
        len(CONTRASTS),
        len(METRICS),
        few=n < _FEW,
        n_without_feedback=n - len(feedback_model),
    )


def _method_table(metrics: pd.DataFrame) -> pd.DataFrame:
    own = metrics[metrics["baseline"].isna()]
    methods = [WITH_FEEDBACK, "refinement_with_model_feedback", SHUFFLED, WITHOUT]
    rows = []
    for method in (name for name in methods if name in set(own["method"])):
        row: dict[str, object] = {"Shown to the refiner": words_of(method)}
        for metric, name in MEASURES.items():
            found = _value(metrics, method, None, metric)
            row[name] = None if found is None else found["value"]
        rows.append(row | {"Inputs": int(own.loc[own["method"] == method, "n"].max())})
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(MEASURES.values(), "float64"))


def _difference_table(metrics: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for method, baseline in CONTRASTS:
        cells = {"Difference": contrast_label(method, baseline)}
        for metric, name in MEASURES.items():
            found = _value(metrics, method, baseline, metric)
            cells[name] = "–" if found is None else _difference(found, digits=1 if metric == "length_tokens" else 3)
        counts = metrics.loc[(metrics["method"] == method) & (metrics["baseline"] == baseline), "n"]
        rows.append({**cells, "Inputs": int(counts.max()) if len(counts) else 0})
    return pd.DataFrame(rows)


def _undefined_parts(undefined: pd.DataFrame) -> list[Part]:
    shown = undefined[undefined["n_undefined"] > 0]
    if shown.empty:
        return [Paragraph(_PROSE.all_defined())]
    table = pd.DataFrame(
        {
            "Score": [words_of(scorer) for scorer in shown["scorer"]],
            "Shown to the refiner": [words_of(method) for method in shown["method"]],
            "Undefined": shown["n_undefined"].to_numpy(),
            "of them empty": shown["n_empty"].to_numpy(),
            "of": shown["n"].to_numpy(),
        }
    )
    return [Table(table, _PROSE.undefined_table(), sources=("controls.undefined_scores",))]


def _points_sentence(points: pd.DataFrame) -> str:
    per_input = points.groupby("example_id").size()
    ways = [way.removeprefix("model:") for way in sorted(points["split_by"].unique())]
    return _PROSE.points(len(per_input), len(points), per_input.min(), per_input.max(), ways)


def _value(metrics: pd.DataFrame, method: str, baseline: str | None, metric: str) -> pd.Series | None:
    """Return the row of a figure, if there is one."""
    of_method = metrics[(metrics["method"] == method) & (metrics["metric"] == metric)]
    found = of_method[of_method["baseline"].isna() if baseline is None else of_method["baseline"] == baseline]
    return None if found.empty else found.iloc[0]
