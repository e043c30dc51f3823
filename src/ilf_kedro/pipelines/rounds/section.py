"""The report's section on rounds: each beside one round of the same total size, and the published figures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.pipelines.rounds.measures import BEFORE, ONE_ROUND
from ilf_kedro.pipelines.rounds.options import RoundsOptions
from ilf_kedro.report.labels import GREY, number, number_or_none, signed
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import DataFrame, PublishedResults, RoundMetrics, RoundModels

_PROSE = Prose(__package__)
_Cells = Mapping[tuple[str, str], Mapping[Hashable, Any]]
_MODES = {ONE_ROUND: "one round", "continue": "rounds, trained further", "from_scratch": "rounds, from scratch"}
_COLOURS = {ONE_ROUND: GREY, "continue": "#2f7fd1", "from_scratch": "#d9822b"}
_METRICS = {"pass_rate": "Pass rate", "nll_per_token": "NLL", "rouge_l": "ROUGE-L", "length_tokens": "Tokens"}
_DIGITS = {"pass_rate": 3, "nll_per_token": 4, "rouge_l": 3, "length_tokens": 1}
_PUBLISHED = ("iterative_refinement_binary", "iterative_refinement_threeway")


def describe_rounds(
    models: DataFrame[RoundModels],
    metrics: DataFrame[RoundMetrics],
    published: DataFrame[PublishedResults],
    options: RoundsOptions,
    reporting: ReportingOptions,
) -> Section:
    """Say what the rounds gave over one round of the same size, and who gave the feedback."""
    cells: _Cells = {(str(row["model"]), str(row["metric"])): row for row in metrics.to_dict("records")}
    n_test = int(metrics["n"].max())
    paper = published[published["experiment"].isin(_PUBLISHED)]
    return Section(
        "rounds",
        "Rounds of feedback, refinement and finetuning",
        (
            Paragraph(_verdict(models, cells, n_test), lead=True),
            Paragraph(_who(models, options)),
            Table(_model_table(models), _PROSE.models_table(), sources=("rounds.models",), prose=True),
            Table(
                _figure_table(models, cells),
                _PROSE.figures_table(n_test, reporting.confidence),
                sources=("rounds.metrics",),
            ),
            Figure(
                "nll",
                _nll_figure(models, cells, reporting.confidence),
                _PROSE.nll_figure(),
                sources=("rounds.metrics",),
            ),
            Heading("The paper's rounds"),
            Table(_published_table(paper), _PROSE.published(), sources=("published_results",)),
        ),
    )


def _verdict(models: DataFrame[RoundModels], cells: _Cells, n_test: int) -> str:
    """Say of the last round in each mode whether it can be told from one round of the same size.

    By the pass rate where a verifier says what passes, else by the likelihood of the references.
    """
    metric = "pass_rate" if any(name == "pass_rate" for _, name in cells) else "nll_per_token"
    last = models[(models["mode"] != ONE_ROUND) & (models["round"] == models["round"].max())]
    modes = []
    for row in last.to_dict("records"):
        cell = cells[str(row["model"]), f"{metric}_minus_one_round"]
        lower, upper = number_or_none(cell["lower"]), number_or_none(cell["upper"])
        is_clear = lower is not None and upper is not None and not lower <= 0 <= upper
        better = (float(cell["value"]) > 0) == (metric == "pass_rate") if is_clear else None
        described = {"name": _MODES[row["mode"]], "better": better}
        described["difference"] = _difference(cells, str(row["model"]), metric)
        described["gain"] = _difference(cells, str(row["model"]), metric, BEFORE)
        modes.append(described)
    return _PROSE.lead(int(last["train_size"].iloc[0]), n_test, modes, metric == "pass_rate")


def _who(models: DataFrame[RoundModels], options: RoundsOptions) -> str:
    """Say whose feedback it was, and what that forbids to conclude."""
    sources = {source for text in models["feedback_source"] for source in text.split(", ")}
    asked = sorted(source.removeprefix("model:") for source in sources if source.startswith("model:"))
    function = options.annotator.callable if options.annotator and options.feedback_by == "function" else None
    return _PROSE.whose_feedback(options.outputs_of == "base", asked, function)


def _ordered(models: DataFrame[RoundModels]) -> list[dict[Hashable, Any]]:
    return models.sort_values(["train_size", "round"], kind="stable").to_dict("records")


def _name(row: Mapping[Hashable, Any]) -> str:
    """Return a model's name in plain words; the first one-round model is round 0 of all modes."""
    words = _MODES[row["mode"]] if row["round"] else "round 0"
    return f"{words}, {row['train_size']:,} examples"


def _model_table(models: DataFrame[RoundModels]) -> pd.DataFrame:
    rows = [
        {
            "model": _name(row),
            "rounds": 1 if row["mode"] == ONE_ROUND else row["round"] + 1,
            "targets": row["n_targets"],
            "optimiser steps": row["n_steps"],
            "feedback by": row["feedback_source"].replace("model:", "model ").replace("function:", "function "),
        }
        for row in _ordered(models)
    ]
    return pd.DataFrame(rows)


def _figure_table(models: DataFrame[RoundModels], cells: _Cells) -> pd.DataFrame:
    rows = []
    for row in _ordered(models):
        model = str(row["model"])
        shown: dict[str, object] = {"model": _name(row)}
        for metric, words in _METRICS.items():
            if (cell := cells.get((model, metric))) is None:
                continue
            shown[words] = number(float(cell["value"]), min(3, _DIGITS[metric])) + _interval(cell, metric)
            shown[f"Δ {words}"] = _difference(cells, model, metric)
        rows.append(shown)
    return pd.DataFrame(rows)


def _published_table(published: pd.DataFrame) -> pd.DataFrame:
    names = {
        "method": "model",
        "train_size": "refinements",
        "n": "test inputs",
        "value": "win rate",
        "standard_error": "its error",
    }
    plain = published.assign(
        method=published["method"].str.replace("_", " "), train_size=published["train_size"].astype(int)
    )
    return plain[list(names)].rename(columns=names)


def _interval(cell: Mapping[Hashable, Any], metric: str) -> str:
    """Return the interval of a pass rate; of other figures the differences' say more."""
    if metric != "pass_rate" or number_or_none(cell["lower"]) is None:
        return ""
    return f" ({number(float(cell['lower']), 3)} to {number(float(cell['upper']), 3)})"


def _difference(cells: _Cells, model: str, metric: str, suffix: str = "_minus_one_round") -> str | None:
    cell = cells.get((model, f"{metric}{suffix}"))
    if cell is None:
        return None
    digits = _DIGITS[metric]
    lower, upper = number_or_none(cell["lower"]), number_or_none(cell["upper"])
    ends = f", {signed(lower, digits)} to {signed(upper, digits)}" if lower is not None else ", no interval"
    return signed(number_or_none(cell["value"]), digits) + ends


def _nll_figure(models: DataFrame[RoundModels], cells: _Cells, confidence: float) -> go.Figure:
    figure = panels(["NLL of references, nats per token"], heights=[300])
    first = models[(models["mode"] == ONE_ROUND) & (models["round"] == 0)]
    for mode, words in _MODES.items():
        rows = models[models["mode"] == mode]
        if rows.empty:
            continue
        if mode != ONE_ROUND:
            rows = pd.concat([first, rows])
        points = [cells[str(model), "nll_per_token"] for model in rows["model"]]
        values = [float(point["value"]) for point in points]
        figure.add_trace(
            go.Scatter(
                x=rows["train_size"],
                y=values,
                error_y=interval_bars(pd.DataFrame(points), thickness=1.2),
                customdata=[[point["lower"], point["upper"], point["n"]] for point in points],
                hovertemplate=(
                    "%{x} examples: <b>%{y:.3f}</b><br>"
                    f"{confidence:.0%} interval " + "%{customdata[0]:.3f} to %{customdata[1]:.3f}, n = %{customdata[2]}"
                ),
                name=words,
                mode="lines+markers",
                line={"color": _COLOURS[mode], "dash": "dot" if mode == ONE_ROUND else "solid"},
                marker={"size": 9},
            )
        )
    figure.update_xaxes(title_text="examples of all rounds", tickvals=sorted(set(models["train_size"])))
    return figure
