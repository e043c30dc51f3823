"""Figures of the analysis: likelihoods over the train size, and divergences model by model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.report.labels import GREY, arm_and_size, colour, in_order, model_label, words_of
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.schemas import DataFrame, Divergences, TargetLikelihoods
from ilf_kedro.schemas.names import BASE_MODEL

__all__ = ["divergences_figure", "likelihoods_figure", "train_targets_figure"]

_PANELS = {
    "nll_per_token": "NLL of the arm's own targets, nats per token",
    "perplexity": "Perplexity of the arm's own targets",
    "nll_minus_base": "NLL less the base model's on the same texts",
}
_DIRECTIONS = {"forward": "Forward, KL(base‖finetuned)", "backward": "Backward, KL(finetuned‖base)"}
_ESTIMATORS = {"log_ratio": "plain (filled)", "controlled": "with control variate (open)"}


def likelihoods_figure(likelihoods: DataFrame[TargetLikelihoods], confidence: float) -> go.Figure:
    """Draw NLL, perplexity and difference from the base model of every arm's held-out targets over the train size.

    The base model on the same targets is a dashed line in the arm's colour.
    """
    held_out = likelihoods[likelihoods["split"] != "train"]
    tuned = held_out[held_out["model"] != BASE_MODEL]
    sizes = sorted({size for model in tuned["model"] if (size := _size(model))})
    figure = panels(list(_PANELS.values()), heights=[230] * len(_PANELS), shared_x=True)
    low, high = math.log10(min(sizes)) - 0.15, math.log10(max(sizes)) + 0.15
    for row, metric in enumerate(_PANELS, start=1):
        for index, arm in enumerate(dict.fromkeys(tuned["arm"])):
            chosen = (tuned["arm"] == arm) & (tuned["metric"] == metric)
            points = tuned[chosen].assign(size=[_size(model) for model in tuned.loc[chosen, "model"]])
            # Arms stand a little beside each other, or their error bars would hide one another.
            shift = 10 ** (0.012 * (index - 1) * (high - low))
            curve = _with_errors(points["size"] * shift, points, confidence, axis="y")
            curve.update(name=words_of(arm), legendgroup=arm, showlegend=row == 1, mode="lines+markers")
            curve.update(line={"color": colour(arm, index), "width": 2}, marker={"size": 8})
            figure.add_trace(curve, row=row, col=1)
            base = held_out.query("model == @BASE_MODEL and arm == @arm and metric == @metric")["value"]
            if len(base):
                line = {"color": colour(arm, index), "width": 1.4, "dash": "dash"}
                across = go.Scatter(x=[10**low, 10**high], y=[base.iloc[0]] * 2, mode="lines", line=line)
                across.update(legendgroup=arm, showlegend=False, hovertemplate="base model: <b>%{y:.3f}</b>")
                figure.add_trace(across, row=row, col=1)
    figure.add_hline(0, line={"color": GREY, "width": 1, "dash": "dot"}, row=len(_PANELS), col=1)
    ticks = [f"{size:,}" for size in sizes]
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=ticks, range=[low, high], showticklabels=True)
    figure.update_xaxes(title_text="train size (inputs)", row=len(_PANELS), col=1)
    return figure


def train_targets_figure(likelihoods: DataFrame[TargetLikelihoods], confidence: float) -> go.Figure:
    """Draw how likely the base model finds each arm's train targets, one dot per train size."""
    rows = likelihoods[(likelihoods["split"] == "train") & (likelihoods["metric"] == "nll_per_token")]
    arms = list(dict.fromkeys(rows["arm"]))
    figure = panels(["NLL of train targets under the base model, nats per token"], heights=[60 + 26 * len(rows)])
    for index, arm in enumerate(arms):
        points = rows[rows["arm"] == arm].sort_values("train_size")
        names = [f"{words_of(arm)}, {size:,.0f}\u00a0inputs" for size in points["train_size"]]
        dots = _with_errors(names, points, confidence, axis="x")
        dots.update(mode="markers", name=words_of(arm), marker={"size": 9, "color": colour(arm, index)})
        figure.add_trace(dots)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(showlegend=False)
    return figure


def divergences_figure(divergences: DataFrame[Divergences], condition: str, confidence: float) -> go.Figure:
    """Draw both directions' divergences of every model under a condition, in nats per sequence, by both estimators."""
    shown = divergences[(divergences["condition"] == condition) & (divergences["unit"] == "nats_per_sequence")]
    models = in_order(shown["model"])
    figure = panels(list(_DIRECTIONS.values()), heights=[60 + 36 * len(models)] * 2)
    for row, direction in enumerate(_DIRECTIONS, start=1):
        for estimator, name in _ESTIMATORS.items():
            points = shown[(shown["direction"] == direction) & (shown["estimator"] == estimator)].set_index("model")
            for index, arm in enumerate(dict.fromkeys(_arm(model) for model in models)):
                of_arm = [model for model in models if _arm(model) == arm]
                labels = [model_label(model, 0) for model in of_arm]
                dots = _with_errors(labels, points.loc[of_arm], confidence, axis="x")
                symbol = "circle" if estimator == "log_ratio" else "diamond-open"
                marker = {"size": 9, "color": colour(arm, index), "symbol": symbol}
                dots.update(mode="markers", marker=marker, orientation="h", offsetgroup=estimator)
                dots.update(name=name, legendgroup=estimator, showlegend=row == 1 and index == 0)
                figure.add_trace(dots, row=row, col=1)
        figure.add_vline(0, line={"color": GREY, "width": 1, "dash": "dot"}, row=row, col=1)
    figure.update_layout(scattermode="group", scattergap=0.5, showlegend=True)
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=[model_label(m, 0) for m in models])
    figure.update_xaxes(title_text="nats per sequence", row=2, col=1)
    return figure


def _arm(model: str) -> str:
    return (arm_and_size(model) or (model, 0))[0]


def _size(model: str) -> int:
    return (arm_and_size(model) or ("", 0))[1]


def _with_errors(places: Sequence[object], points: pd.DataFrame, confidence: float, *, axis: str) -> go.Scatter:
    """Draw values along `axis` with their intervals, at `places` along the other."""
    along = {"x": points["value"], "y": places} if axis == "x" else {"x": places, "y": points["value"]}
    hover = f"<b>%{{{axis}:.4f}}</b><br>{confidence:.0%} interval "
    return go.Scatter(
        **along,
        **{f"error_{axis}": interval_bars(points, thickness=1.3, width=3)},
        customdata=points[["lower", "upper", "n"]],
        hovertemplate=hover + "%{customdata[0]:.4f} to %{customdata[1]:.4f}, n = %{customdata[2]}",
    )
