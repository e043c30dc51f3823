"""The forest plot: every scorer's win rate with its interval, as it is and at equal length."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation.tournament import LONGEST, RANDOM, WIN_RATE
from ilf_kedro.pipelines.tournament.score_labels import label
from ilf_kedro.report.labels import GREY, colour
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.schemas import DataFrame, ScorerMetrics
from ilf_kedro.schemas.names import BASE_MODEL

__all__ = ["forest_plot"]

_ROW = 30
_CONTROLLED = f"length_controlled_{WIN_RATE}"
_SCORERS, _LONGEST, _RANDOM = colour("refinements"), colour("initial_outputs"), colour(BASE_MODEL)
_EQUAL_LENGTH = colour("finetune.best_of_n")


def forest_plot(metrics: DataFrame[ScorerMetrics], confidence: float) -> go.Figure:
    """Draw the win rates over a random refinement, the highest first; random and longest in colours of their own."""
    wins = (
        metrics[metrics["metric"] == WIN_RATE].set_index("scorer").sort_values("value", ascending=False, kind="stable")
    )
    controlled = metrics[metrics["metric"] == _CONTROLLED].set_index("scorer").reindex(wins.index)
    controlled = controlled[controlled["value"].notna() & (controlled.index != RANDOM)]
    figure = panels(["Win rate"], heights=[60 + _ROW * len(wins)])
    others = wins[~wins.index.isin([RANDOM, LONGEST])]
    for name, points, shade in (
        ("scorer", others, _SCORERS),
        ("longest", wins[wins.index == LONGEST], _LONGEST),
        ("random choice, exact", wins[wins.index == RANDOM], _RANDOM),
    ):
        if len(points):
            figure.add_trace(_dots(points, name, shade, confidence, offsetgroup="as it is"))
    if len(controlled):
        at_equal_length = _dots(controlled, "at equal length", _EQUAL_LENGTH, confidence, offsetgroup="equal length")
        figure.add_trace(at_equal_length.update(marker={"symbol": "diamond-open", "size": 7}))
    figure.add_vline(0.5, line={"color": GREY, "dash": "dot", "width": 1})
    figure.update_layout(scattermode="group", scattergap=0.3, showlegend=True)
    figure.update_xaxes(range=[-0.02, 1.02], title_text="over random (dotted: chance)", dtick=0.25)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[label(str(scorer)) for scorer in wins.index],
        autorange="reversed",
        dtick=1,
        tickfont={"size": 12},
    )
    return figure


def _dots(points: pd.DataFrame, name: str, shade: str, confidence: float, *, offsetgroup: str) -> go.Scatter:
    return go.Scatter(
        orientation="h",
        x=points["value"],
        y=[label(str(scorer)) for scorer in points.index],
        error_x=interval_bars(points, width=3),
        customdata=[_interval(row, confidence) for row in points.to_dict("records")],
        hovertemplate="%{y}: <b>%{x:.3f}</b><br>%{customdata}",
        name=name,
        offsetgroup=offsetgroup,
        mode="markers",
        marker={"size": 8, "color": shade},
    )


def _interval(row: Mapping[Hashable, Any], confidence: float) -> str:
    if pd.notna(row["lower"]):
        return f"{confidence:.0%} interval {row['lower']:.3f} to {row['upper']:.3f}, n = {row['n']}"
    return f"no interval, n = {row['n']}" + (f" ({row['note']})" if pd.notna(row["note"]) else "")
