"""What the controls show, as a section of the report and a page of its own."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation.control_metrics import CONTRASTS, METRICS, WITHOUT
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.pipelines.controls.examples_shown import one_example, points_of_example
from ilf_kedro.pipelines.controls.figure import MEASURES, contrast_label, differences_figure
from ilf_kedro.pipelines.reporting.options import ReportingOptions
from ilf_kedro.report.labels import number, signed, words_of
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

REAL, SHUFFLED = "refinement_with_feedback", "refinement_with_shuffled_feedback"
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
    """Describe what the words of the feedback were worth: in a sentence first, then by method, point and post."""
    first = examples.iloc[0]
    parts: list[Part] = [
        Paragraph(_lead(metrics, refiner.name, instruct_rm.name, options.confidence), lead=True),
        Paragraph(_how_to_read(examples, refinements, feedback_model, instruct_rm.name)),
        Table(
            _method_table(metrics),
            "Mean over inputs of each measure, by what the refiner was shown.",
            column_digits={MEASURES["length_tokens"]: 1},
        ),
        Figure(
            "differences",
            differences_figure(metrics, options.confidence),
            f"Differences paired by post, with {options.confidence:.0%} bootstrap intervals over inputs. "
            "Dotted: no difference.",
        ),
        Table(
            _difference_table(metrics),
            f"Differences paired by post, with their {options.confidence:.0%} intervals, where inputs differ.",
            prose=True,
        ),
        *_undefined_parts(undefined),
        Heading("Point by point"),
        Paragraph(_points_sentence(points)),
        Table(points_of_example(first, points, point_scores), _points_caption(first), 2, prose=True),
        Heading("One example"),
        Table(
            one_example(first, feedback_shuffled, feedback_model, selections),
            f"Example {first['example_id']}: what the refiner was shown, and InstructRM's choice. "
            f"The initial output was: {first['initial_output']}",
            3,
            prose=True,
        ),
    ]
    return Section("controls", "What the words of the feedback were worth", tuple(parts))


def _lead(metrics: pd.DataFrame, refiner: str, instruct_rm: str, confidence: float) -> str:
    """Say whether the words helped, claiming so only where intervals leave 0 out against both controls."""
    sentences = [_verdict(metrics)]
    for metric, name in (("instruct_rm_ensemble", "InstructRM score"), ("points_incorporated", "Share of points done")):
        real = _value(metrics, REAL, None, metric)
        if real is not None:
            differences = [
                f"{_difference(found, confidence)} against {against}"
                for baseline, against in ((WITHOUT, "no feedback"), (SHUFFLED, "another post's feedback"))
                if (found := _value(metrics, REAL, baseline, metric)) is not None
            ]
            sentences.append(f"{name} with the readers' feedback {number(real['value'])}: {', '.join(differences)}.")
    n = int(metrics.loc[metrics["method"] == REAL, "n"].max())
    sentences.append(f"{n} inputs; refinements by {refiner}, judged by {instruct_rm}, not by people.")
    return " ".join(sentences)


def _verdict(metrics: pd.DataFrame) -> str:
    rows = [_value(metrics, REAL, baseline, "instruct_rm_ensemble") for baseline in (WITHOUT, SHUFFLED)]
    rows += [_value(metrics, REAL, baseline, "points_incorporated") for baseline in (WITHOUT, SHUFFLED)]
    known = [row for row in rows if row is not None and pd.notna(row["lower"])]
    if len(known) == len(rows) and all(row["lower"] > 0 for row in known):
        return "The readers' own words made the refinements better, by both measures and against both controls."
    if known and all(row["upper"] < 0 for row in known):
        return "The readers' own words made the refinements worse, by these measures."
    return "These data do not show, by both measures and against both controls, that the readers' own words helped."


def _difference(row: pd.Series, confidence: float | None = None, digits: int = 3) -> str:
    """Return a difference with its interval, such as "+0.010 (95% interval −0.004 to +0.021)"."""
    value = signed(row["value"], digits)
    if pd.isna(row["lower"]):
        return f"{value} (no interval)"
    interval = f"{signed(row['lower'], digits)} to {signed(row['upper'], digits)}"
    return f"{value} ({interval})" if confidence is None else f"{value} ({confidence:.0%} interval {interval})"


def _how_to_read(
    examples: pd.DataFrame, refinements: pd.DataFrame, feedback_model: pd.DataFrame, instruct_rm: str
) -> str:
    n = len(examples)
    per_input = len(refinements) / max(1, refinements[["example_id", "method"]].drop_duplicates().shape[0])
    text = (
        f"The refiner was asked alike for {per_input:.0f} refinements of each post; what it was shown differs: the "
        "reader's feedback, that of another of the inputs, feedback that the refiner had written itself, or none. "
        f"{instruct_rm} was then always asked about the reader's own feedback. So a method that did not see it can "
        "only agree with it by chance, or because a better output is a better output. A score says how a model "
        "answers, not whether it is right. "
        f"{len(CONTRASTS)} differences by each of {len(METRICS)} measures are shown without correction for their "
        "number."
    )
    if n < _FEW:
        text += f" With {n} inputs the intervals are rough, and may be too narrow: take them as a first look."
    if len(feedback_model) < n:
        text += f" The refiner wrote no feedback on {n - len(feedback_model)} of the inputs, which are left out there."
    return text


def _method_table(metrics: pd.DataFrame) -> pd.DataFrame:
    own = metrics[metrics["baseline"].isna()]
    methods = [REAL, "refinement_with_model_feedback", SHUFFLED, WITHOUT]
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
        return [Paragraph("Every score is defined: no refinement is empty, and no question was refused.")]
    table = pd.DataFrame(
        {
            "Score": [words_of(scorer) for scorer in shown["scorer"]],
            "Shown to the refiner": [words_of(method) for method in shown["method"]],
            "Undefined": shown["n_undefined"].to_numpy(),
            "of them empty": shown["n_empty"].to_numpy(),
            "of": shown["n"].to_numpy(),
        }
    )
    return [Table(table, "Undefined scores: they rank last, and are left out of means.")]


def _points_sentence(points: pd.DataFrame) -> str:
    per_input = points.groupby("example_id").size()
    each = f"{per_input.min()}" if per_input.min() == per_input.max() else f"{per_input.min()} to {per_input.max()}"
    by = ", ".join(f"by {way.removeprefix('model:')}" for way in sorted(points["split_by"].unique()))
    return (
        f"The feedback on {len(per_input)} inputs makes {len(points)} points, {each} each "
        f"(split {by}). Each was asked about by itself, of every refinement; a point counts as incorporated where "
        "p(Yes) is above one half. A remark that asks for nothing (such as praise) counts as a point all the same."
    )


def _points_caption(example: pd.Series) -> str:
    return f"Example {example['example_id']}: mean p(Yes) of each point of its feedback, by what the refiner was shown."


def _value(metrics: pd.DataFrame, method: str, baseline: str | None, metric: str) -> pd.Series | None:
    """Return the row of a figure, if there is one."""
    of_method = metrics[(metrics["method"] == method) & (metrics["metric"] == metric)]
    found = of_method[of_method["baseline"].isna() if baseline is None else of_method["baseline"] == baseline]
    return None if found.empty else found.iloc[0]
