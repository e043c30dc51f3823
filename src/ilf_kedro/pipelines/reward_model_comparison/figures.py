"""The figures of the comparison of reward models."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation.reward_breakdown import LENGTH_GROUPS
from ilf_kedro.report.labels import GREY
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.reward_models import RewardModelKind
from ilf_kedro.schemas import DataFrame, RewardModelAccuracies

__all__ = ["KINDS", "by_length_figure", "learning_curve"]

KINDS: dict[RewardModelKind, str] = {"yes_no": "Yes or No", "classification": "scalar head", "a_b": "A or B"}
_COLOURS: dict[RewardModelKind, str] = {"yes_no": "#2f7fd1", "classification": "#2a9d6f", "a_b": "#d9822b"}
_COIN = {"color": GREY, "dash": "dot", "width": 1}


def learning_curve(accuracies: DataFrame[RewardModelAccuracies]) -> go.Figure:
    """Draw accuracy over the number of comparisons trained on, one curve per kind."""
    sizes = sorted(set(accuracies["n_train"]))
    low, high = math.log10(sizes[0]) - 0.12, math.log10(sizes[-1]) + 0.12
    figure = panels(["Comparisons right, share"], heights=[300])
    kinds = list(dict.fromkeys(accuracies["kind"]))
    for index, kind in enumerate(kinds):
        points = accuracies[accuracies["kind"] == kind].sort_values("n_train")
        shift = 10 ** (0.02 * (index - (len(kinds) - 1) / 2) * (high - low))
        figure.add_trace(
            go.Scatter(
                x=points["n_train"] * shift,
                y=points["accuracy"],
                error_y=interval_bars(points, "accuracy", thickness=1.3),
                customdata=points[["n_train", "lower", "upper", "n"]],
                hovertemplate="trained on %{customdata[0]:,}: <b>%{y:.3f}</b><br>%{customdata[1]:.3f} to "
                "%{customdata[2]:.3f}, n = %{customdata[3]}",
                name=KINDS[kind],
                mode="lines+markers",
                line={"color": _COLOURS[kind], "width": 2},
                marker={"size": 8},
            )
        )
    figure.add_hline(0.5, line=_COIN)
    ticks = [f"{size:,}" for size in sizes]
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=ticks, range=[low, high], title_text="comparisons")
    figure.update_yaxes(range=[0, 1])
    return figure


def by_length_figure(breakdowns: pd.DataFrame) -> go.Figure:
    """Draw accuracy by the difference in length of the preferred output, one dot per kind."""
    rows = breakdowns[breakdowns["measure"] == "accuracy_by_length"]
    groups = [group for group in LENGTH_GROUPS if group in set(rows["group"])]
    kinds = list(dict.fromkeys(rows["kind"]))
    figure = panels(["Comparisons right, by the preferred output's length"], heights=[60 + 30 * len(groups) * 2])
    for kind in kinds:
        points = rows[rows["kind"] == kind].set_index("group").reindex(groups).dropna(subset=["share"])
        figure.add_trace(
            go.Scatter(
                orientation="h",
                x=points["share"],
                y=[f"{group} (n = {n:.0f})" for group, n in zip(points.index, points["n"], strict=True)],
                error_x=interval_bars(points, "share", thickness=1.3),
                customdata=points[["lower", "upper"]],
                hovertemplate="%{y}: <b>%{x:.3f}</b><br>%{customdata[0]:.3f} to %{customdata[1]:.3f}",
                name=KINDS[kind],
                mode="markers",
                marker={"size": 9, "color": _COLOURS[kind]},
            )
        )
    figure.add_vline(0.5, line=_COIN)
    figure.update_layout(scattermode="group", scattergap=0.4, showlegend=True)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(autorange="reversed")
    return figure
