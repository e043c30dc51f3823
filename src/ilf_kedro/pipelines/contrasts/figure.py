"""The forest plot of contrasts: every pair's win rate with its interval, as it is and at equal length."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation.contrasts import EQUAL_LENGTH, WIN_RATE
from ilf_kedro.report.labels import BEST_OF_N, GREY, colour
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.schemas import Contrasts, DataFrame

__all__ = ["contrasts_figure"]

_ROW = 44


def contrasts_figure(own: DataFrame[Contrasts], label: Callable[[str], str]) -> go.Figure:
    """Draw the contrasts of one measure, in the order of the table, two lines a label: readable on a phone."""
    wins = own[own["statistic"] == WIN_RATE]
    equal = own[(own["statistic"] == EQUAL_LENGTH) & own["value"].notna()]
    figure = panels(["Win rate"], heights=[60 + _ROW * len(wins)])
    figure.add_trace(_dots(wins, "as it is", colour("refinements"), "circle", label))
    if len(equal):
        figure.add_trace(_dots(equal, "at equal length", colour(BEST_OF_N), "diamond-open", label))
    figure.add_vline(0.5, line={"color": GREY, "dash": "dot", "width": 1})
    figure.update_layout(scattermode="group", scattergap=0.4, showlegend=True)
    figure.update_xaxes(range=[-0.02, 1.02], dtick=0.25, title_text="of the first over the second")
    rows = [_row(arm, baseline, label) for arm, baseline in zip(wins["arm"], wins["baseline"], strict=True)]
    figure.update_yaxes(categoryorder="array", categoryarray=rows, autorange="reversed", dtick=1, tickfont_size=11)
    return figure


def _dots(points: pd.DataFrame, name: str, shade: str, symbol: str, label: Callable[[str], str]) -> go.Scatter:
    return go.Scatter(
        orientation="h",
        x=points["value"],
        y=[_row(arm, baseline, label) for arm, baseline in zip(points["arm"], points["baseline"], strict=True)],
        error_x=interval_bars(points, width=3),
        customdata=points[["lower", "upper", "n"]],
        hovertemplate="%{y}: <b>%{x:.3f}</b> (%{customdata[0]:.3f} to %{customdata[1]:.3f}), n = %{customdata[2]}",
        name=name,
        offsetgroup=name,
        mode="markers",
        marker={"size": 8, "color": shade, "symbol": symbol},
    )


def _row(arm: str, baseline: str, label: Callable[[str], str]) -> str:
    return f"{label(arm)}<br>over {label(baseline)}"
