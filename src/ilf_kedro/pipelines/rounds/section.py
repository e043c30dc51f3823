"""The report's section on rounds: each beside one round of the same total size, and the published figures."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.pipelines.reporting.options import ReportingOptions
from ilf_kedro.pipelines.rounds.measures import ONE_ROUND
from ilf_kedro.pipelines.rounds.options import RoundsOptions
from ilf_kedro.report.labels import GREY, number, number_or_none, signed
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import DataFrame, PublishedResults, RoundMetrics, RoundModels

_Cells = Mapping[tuple[str, str], Mapping[Hashable, Any]]
_MODES = {ONE_ROUND: "one round", "continue": "rounds, trained further", "from_scratch": "rounds, from scratch"}
_COLOURS = {ONE_ROUND: GREY, "continue": "#2f7fd1", "from_scratch": "#d9822b"}
_METRICS = {"nll_per_token": "NLL", "rouge_l": "ROUGE-L", "length_tokens": "Tokens"}
_DIGITS = {"nll_per_token": 4, "rouge_l": 3, "length_tokens": 1}
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
            Table(_model_table(models), _MODEL_CAPTION, prose=True),
            Table(_figure_table(models, cells), _caption(n_test, reporting.confidence)),
            Figure("nll", _nll_figure(models, cells, reporting.confidence), _FIGURE_CAPTION),
            Heading("The paper's rounds"),
            Table(
                _published_table(paper),
                "Win rate over one round of the same size, ranked by people, of GPT-3 175B with rounds of 100 "
                "refinements: another quantity than ours, on other data, so only the signs can be compared.",
            ),
        ),
    )


_FIGURE_CAPTION = (
    "Negative log-likelihood of the human test outputs (lower is better) over the number of examples of all rounds. "
    "Round 0 is the one-round model of the first size. The intervals are of each model alone; the table's differences "
    "are paired, and say more."
)


_MODEL_CAPTION = (
    "What each model learned from: targets are examples that had a refinement to imitate, steps those of all its "
    "trainings together."
)


def _caption(n_test: int, confidence: float) -> str:
    return (
        f"On {n_test} test inputs; Δ is the difference from the one-round model with as many examples, paired by post, "
        f"with its {confidence:.0%} bootstrap interval over inputs. NLL: nats per token of the references, lower "
        "is better. ROUGE-L: F1 against the reference."
    )


def _verdict(models: DataFrame[RoundModels], cells: _Cells, n_test: int) -> str:
    """Say of the last round in each mode whether it can be told from one round of the same size."""
    last = models[(models["mode"] != ONE_ROUND) & (models["round"] == models["round"].max())]
    phrases = []
    for row in last.to_dict("records"):
        cell = cells[str(row["model"]), "nll_per_token_minus_one_round"]
        lower, upper = number_or_none(cell["lower"]), number_or_none(cell["upper"])
        if lower is None or upper is None or lower <= 0 <= upper:
            found = "cannot be told from one round of the same size"
        else:
            found = (
                "is better than one round of the same size" if upper < 0 else "is worse than one round of the same size"
            )
        phrases.append(
            f"{_MODES[row['mode']]} {found} ({_difference(cells, str(row['model']), 'nll_per_token')} nats per token)"
        )
    size = int(last["train_size"].iloc[0])
    return f"After {size:,} examples, by the likelihood of {n_test} human test outputs: {'; '.join(phrases)}."


def _who(models: DataFrame[RoundModels], options: RoundsOptions) -> str:
    """Say whose feedback it was, and what that forbids to conclude."""
    sources = {source for text in models["feedback_source"] for source in text.split(", ")}
    author = "the base model's" if options.outputs_of == "base" else "the last model's own"
    text = (
        "The one-round models, and round 0, learn from the data's own feedback (“data”; its card says who wrote it) on "
        f"the data's own initial outputs. Feedback of later rounds is on {author} outputs"
    )
    asked = sorted(source.removeprefix("model:") for source in sources if source.startswith("model:"))
    if asked:
        return (
            f"{text}, and the language model {', '.join(asked)} wrote it, not people: a difference from one round is "
            "then of the outputs' author and of the feedback's author together."
        )
    return f"{text}; people wrote it into a file."


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
            "feedback by": row["feedback_source"].replace("model:", "model "),
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
            shown[words] = number(float(cells[model, metric]["value"]), min(3, _DIGITS[metric]))
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


def _difference(cells: _Cells, model: str, metric: str) -> str | None:
    cell = cells.get((model, f"{metric}_minus_one_round"))
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
