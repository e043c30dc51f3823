"""The report's figures: scaling curves, and the losses of the trainings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.report.labels import (
    BEST_OF_N,
    GREY,
    arm_and_size,
    colour,
    in_order,
    model_label,
    sampler_of_best_of_n,
    words_of,
)
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.schemas import DataFrame, ModelMetrics, TrainingLogs
from ilf_kedro.schemas.names import BASE_MODEL

__all__ = ["scaling_figure", "training_loss_figure"]

_PANEL = 230
_SCALED = ("nll_per_token", "nll_minus_base", "win_rate", "reward", "rouge_l", "length_tokens")
_EVEN = {"nll_minus_base": 0.0, "win_rate": 0.5}
_PANEL_TITLES = {
    "nll_per_token": "NLL of references, nats per token",
    "nll_minus_base": "NLL less the base model's, paired",
    "win_rate": "Judge's win rate over references",
    "reward": "Reward, p(excellent)",
    "rouge_l": "ROUGE-L against the reference",
    "length_tokens": "Length, tokens",
}


def scaling_figure(
    metrics: DataFrame[ModelMetrics], confidence: float, best_of_n: int, best_of_n_from: str | None = None
) -> go.Figure:
    """Draw every metric of every arm over the train size, with intervals as bars.

    Base model and references have no train size: they are lines across. Best-of-N stands beside its sampler.
    """
    shown = [metric for metric in _SCALED if metric in set(metrics["metric"])]
    table = metrics.assign(
        arm=[(arm_and_size(model) or (model, 0))[0] for model in metrics["model"]],
        size=[(arm_and_size(model) or (model, 0))[1] for model in metrics["model"]],
    )
    sizes = sorted(set(table["size"]) - {0}) or [1]
    titles = [_PANEL_TITLES[metric] for metric in shown]
    figure = panels(titles, heights=[_PANEL] * len(shown), shared_x=True)
    # Arms stand a little beside each other, or their error bars would hide one another.
    low, high = _log_range(sizes)
    apart = 0.02 * (high - low)
    named: set[str] = set()
    for row, metric in enumerate(shown, start=1):
        of_metric = table[table["metric"] == metric]
        for index, arm in enumerate(dict.fromkeys(_arms(table))):
            points = of_metric[of_metric["arm"] == arm].sort_values("size")
            if len(points):
                _add_arm(figure, row, points, arm, index, (index - 1) * apart, confidence, show_legend=arm not in named)
                named.add(arm)
        for model, name in _singles(table, best_of_n, best_of_n_from).items():
            points = of_metric[of_metric["model"] == model]
            if len(points):
                _add_single(figure, row, points.iloc[0], sizes, name, show_legend=model not in named)
                named.add(model)
        # The axis follows the data, but not to where a metric cannot be.
        lowest = None if metric == "nll_minus_base" else 0
        highest = 1 if metric in ("win_rate", "reward", "rouge_l") else None
        figure.update_yaxes(minallowed=lowest, maxallowed=highest, nticks=6, row=row, col=1)
        if metric in _EVEN:
            figure.add_hline(_EVEN[metric], line={"color": GREY, "width": 1, "dash": "dot"}, row=row, col=1)
    figure.update_xaxes(
        type="log",
        tickvals=sizes,
        ticktext=[f"{size:,}" for size in sizes],
        range=[low, high],
        showticklabels=True,
    )
    figure.update_xaxes(title_text="train size (inputs)", row=len(shown), col=1)
    return figure


def training_loss_figure(logs: DataFrame[TrainingLogs]) -> go.Figure:
    """Draw the loss over optimiser steps of every training; reward models apart, for theirs is another loss."""
    finetunings = [model for model in in_order(logs["model"]) if arm_and_size(model)]
    others = [model for model in in_order(logs["model"]) if not arm_and_size(model)]
    groups = [("Finetuning, nats per weighted token", finetunings), ("Reward model, nats per answer", others)]
    groups = [(title, models) for title, models in groups if models]
    figure = panels([title for title, _ in groups], heights=[_PANEL + 40] * len(groups))
    dashes, symbols = ("dot", "dash", "solid", "dashdot"), ("circle", "diamond", "square", "cross")
    for row, (_, models) in enumerate(groups, start=1):
        sizes = sorted({trained[1] for model in models if (trained := arm_and_size(model))})
        for index, model in enumerate(models):
            log = logs[logs["model"] == model].sort_values("step")
            arm, size = arm_and_size(model) or (model, 0)
            dash = dashes[sizes.index(size) % len(dashes)] if len(sizes) > 1 else "solid"
            symbol = symbols[sizes.index(size) % len(symbols)] if len(sizes) > 1 else "circle"
            figure.add_trace(
                go.Scatter(
                    x=log["step"],
                    y=log["loss"],
                    name=words_of(model) if size == 0 else f"{words_of(arm)}, {_examples(log, size)}",
                    mode="lines+markers" if len(log) <= 20 else "lines",
                    line={"color": colour(arm, index), "dash": dash},
                    marker={"symbol": symbol, "size": 8},
                    hovertemplate="step %{x}: %{y:.3f}",
                ),
                row=row,
                col=1,
            )
    figure.update_xaxes(tickformat="d", dtick=1 if logs["step"].max() <= 10 else None)
    figure.update_xaxes(title_text="optimiser step", row=len(groups), col=1)
    figure.update_layout(showlegend=True)
    return figure


def _examples(log: pd.DataFrame, size: int) -> str:
    """Return how many inputs a training learned from: fewer than its size where some had no target."""
    used = int(log["n_examples"].iloc[0])
    return f"{used:,}\u00a0inputs" if used == size else f"{used:,} of {size:,}\u00a0inputs"


def _arms(table: pd.DataFrame) -> list[str]:
    models = in_order(table["model"])
    return [trained[0] for model in models if (trained := arm_and_size(model))]


def _singles(table: pd.DataFrame, best_of_n: int, best_of_n_from: str | None) -> dict[str, str]:
    """Return the models that are no curve, and what the legend calls them."""
    names = {model: model_label(model, best_of_n) for model in (BASE_MODEL, "reference", BEST_OF_N)}
    sampler = sampler_of_best_of_n(table["model"], best_of_n_from)
    if sampler is not None:
        names[BEST_OF_N] += f" by {model_label(sampler, best_of_n)}"
    return names


def _log_range(sizes: Sequence[int]) -> tuple[float, float]:
    """Return the ends of a logarithmic axis with some room beside the first and the last size."""
    margin = max(0.12, 0.12 * math.log10(sizes[-1] / sizes[0]))
    return math.log10(sizes[0]) - margin, math.log10(sizes[-1]) + margin


def _add_arm(
    figure: go.Figure,
    row: int,
    points: pd.DataFrame,
    arm: str,
    index: int,
    shift: float,
    confidence: float,
    *,
    show_legend: bool,
) -> None:
    """Add an arm's curve and its error bars; bands of arms that are nearly equal would hide one another."""
    sizes = points["size"] * 10**shift
    line = colour(arm, index)
    curve = go.Scatter(
        x=sizes,
        y=points["value"],
        error_y=interval_bars(points, thickness=1.2, width=3),
        customdata=points[["size", "lower", "upper", "n"]],
        hovertemplate=(
            "%{customdata[0]:,} inputs: <b>%{y:.3f}</b><br>"
            f"{confidence:.0%} interval " + "%{customdata[1]:.3f} to %{customdata[2]:.3f}, n = %{customdata[3]}"
        ),
        name=words_of(arm),
        legendgroup=arm,
        showlegend=show_legend,
        mode="lines+markers",
        line={"color": line, "width": 2},
        marker={"size": 8},
    )
    figure.add_trace(curve, row=row, col=1)


def _add_single(
    figure: go.Figure, row: int, point: pd.Series, sizes: Sequence[int], name: str, *, show_legend: bool
) -> None:
    """Add a model without a train size: a line across, or, for best-of-N, a mark at the largest size."""
    model = str(point["model"])
    shared = {"name": name, "legendgroup": model, "showlegend": show_legend}
    shared["hovertemplate"] = "<b>%{y:.3f}</b>, n = " + f"{point['n']}"
    line = colour(model)
    start, end = _log_range(sizes)
    if model == BEST_OF_N:
        mark = {"symbol": "diamond", "size": 10, "color": line}
        trace = go.Scatter(
            x=[sizes[-1] * 10 ** (0.05 * (end - start))],
            y=[point["value"]],
            mode="markers",
            marker=mark,
            error_y=interval_bars(point.to_frame().T, thickness=1.2, width=3),
            **shared,
        )
    else:
        ends = [10**start, 10**end]
        dash = {"color": line, "width": 1.6, "dash": "dash" if model == BASE_MODEL else "dot"}
        trace = go.Scatter(x=ends, y=[point["value"]] * 2, mode="lines", line=dash, **shared)
    figure.add_trace(trace, row=row, col=1)
