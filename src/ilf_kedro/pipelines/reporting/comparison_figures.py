"""The report's figures that compare refinement methods, scorers and rewards with comparisons."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation.refinement_metrics import ANY
from ilf_kedro.report.labels import GREY, colour, scorers_in_order, words_of
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.schemas import (
    DataFrame,
    RefinementMetrics,
    Reliability,
    RewardModelAccuracy,
    RewardModelBreakdown,
    ScorerAgreement,
)
from ilf_kedro.schemas.names import WITH_FEEDBACK

__all__ = ["refinement_methods_figure", "reward_model_figure", "scorers_figure"]

_COMPARED = (ANY, "random", "longest", "instruct_rm_ensemble")
_PANELS = {
    "instruct_rm_ensemble": "InstructRM score",
    "length_tokens": "Length, tokens",
    "length_correlation": "Rank correlation with length",
}

_BREAKDOWN = {"accuracy_by_length": "preferred one is", "longer_preferred": "longer preferred by"}


def refinement_methods_figure(metrics: DataFrame[RefinementMetrics], confidence: float) -> go.Figure:
    """Compare refinements with and without the feedback by a model's score, with their lengths beside it."""
    shown = metrics[metrics["chosen_by"].isin(_COMPARED)]
    names = [metric for metric in ("instruct_rm_ensemble", "length_tokens") if metric in set(shown["metric"])]
    rows = [chosen_by for chosen_by in _COMPARED if chosen_by in set(shown["chosen_by"])]
    figure = panels([_PANELS[name] for name in names], heights=[60 + 44 * len(rows)] * len(names))
    for panel, name in enumerate(names, start=1):
        for index, method in enumerate(dict.fromkeys(shown["method"])):
            points = shown[(shown["metric"] == name) & (shown["method"] == method)].set_index("chosen_by")
            points = points.reindex([row for row in rows if row in points.index])
            trace = _dots(points, words_of(method), colour(method, index), confidence)
            figure.add_trace(trace.update(legendgroup=method, showlegend=panel == 1), row=panel, col=1)
        # Grouped traces would otherwise draw the axis from 0.
        ends = shown.loc[shown["metric"] == name, ["value", "lower", "upper"]]
        low, high = float(ends.min().min()), float(ends.max().max())
        margin = 0.06 * (high - low) or 0.05
        figure.update_xaxes(range=[low - margin, high + margin], row=panel, col=1)
    figure.update_layout(scattermode="group", scattergap=0.5, showlegend=True)
    figure.update_yaxes(autorange="reversed")
    return figure


def scorers_figure(
    metrics: DataFrame[RefinementMetrics],
    agreement: DataFrame[ScorerAgreement],
    confidence: float,
    *,
    method: str = WITH_FEEDBACK,
) -> go.Figure:
    """Compare what each scorer chooses: how long it is, how InstructRM scores it, who chooses alike."""
    shown = metrics[(metrics["method"] == method) & (metrics["chosen_by"] != ANY)]
    scorers = scorers_in_order(shown["chosen_by"])
    names = [name for name in _PANELS if name in set(shown["metric"])]
    height = 60 + 24 * len(scorers)
    figure = panels(
        [*(_PANELS[name] for name in names), "Same choice, share of inputs"],
        heights=[height] * len(names) + [height + 90],
    )
    for panel, name in enumerate(names, start=1):
        points = shown[shown["metric"] == name].set_index("chosen_by")
        # Length goes with itself throughout: that row would be empty.
        points = points.reindex([scorer for scorer in scorers if scorer in points.index])
        figure.add_trace(_dots(points, words_of(name), colour(method), confidence), row=panel, col=1)
    figure.add_trace(_agreement_map(agreement[agreement["method"] == method], scorers), row=len(names) + 1, col=1)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-50, showgrid=False, row=len(names) + 1, col=1)
    figure.update_yaxes(showgrid=False, row=len(names) + 1, col=1)
    figure.update_layout(showlegend=False)
    return figure


def reward_model_figure(
    accuracy: DataFrame[RewardModelAccuracy],
    reliability: DataFrame[Reliability],
    breakdown: DataFrame[RewardModelBreakdown],
) -> go.Figure:
    """Draw the accuracy on held-out comparisons with its interval, also by length, and the reliability curve.

    The curve is drawn given comparisons enough.
    """
    judged = pd.isna(accuracy["calibration_verdict"].iloc[0])
    by_length = breakdown[breakdown["measure"].isin(_BREAKDOWN)]
    titles = ["Comparisons right"]
    heights = [70 + 40 * len(accuracy)]
    if len(by_length):
        titles.append("Right by length, and how often the longer")
        heights.append(60 + 38 * len(by_length))
    if judged:
        titles.append("Reliability")
        heights.append(320)
    figure = panels(titles, heights=heights, gap=95)
    confidence = float(accuracy["confidence"].iloc[0])
    points = accuracy.rename(columns={"accuracy": "value"})
    points.index = pd.Index([f"{row.split}, n = {row.n}" for row in accuracy.itertuples()])
    _add_shares(figure, 1, points, confidence, "share right (dotted: a coin)")
    if len(by_length):
        shares = by_length.rename(columns={"share": "value"})
        shares.index = pd.Index(
            [f"{_BREAKDOWN[str(row['measure'])]}<br>{row['group']}, n = {row['n']}" for _, row in by_length.iterrows()]
        )
        _add_shares(figure, 2, shares, confidence, "share of comparisons")
        figure.update_yaxes(autorange="reversed", row=2, col=1)
    figure.update_layout(showlegend=False)
    if not judged:
        figure.update_layout(height=figure.layout.height + 10)
        return figure
    _add_reliability(figure, len(titles), reliability)
    return figure


def _add_shares(figure: go.Figure, row: int, points: pd.DataFrame, confidence: float, title: str) -> None:
    figure.add_trace(_dots(points, "reward model", colour("refinements"), confidence), row=row, col=1)
    figure.add_vline(0.5, line={"color": GREY, "dash": "dot"}, row=row, col=1)
    figure.update_xaxes(range=[-0.02, 1.02], title_text=title, row=row, col=1)


def _add_reliability(figure: go.Figure, row: int, reliability: DataFrame[Reliability]) -> None:
    curve = go.Scatter(
        x=reliability["p_mean"],
        y=reliability["observed"],
        mode="lines+markers",
        marker={"size": 5 + 15 * (reliability["n"] / reliability["n"].max()) ** 0.5, "color": colour("refinements")},
        line={"color": colour("refinements")},
        customdata=reliability["n"],
        hovertemplate="predicted %{x:.2f}, observed %{y:.2f}, n = %{customdata}<extra></extra>",
    )
    figure.add_trace(curve, row=row, col=1)
    diagonal = {"color": GREY, "dash": "dot"}
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line=diagonal, row=row, col=1)
    figure.update_xaxes(range=[-0.03, 1.03], title_text="predicted probability", row=row, col=1)
    figure.update_yaxes(range=[-0.05, 1.05], title_text="observed share", row=row, col=1)


def _dots(points: pd.DataFrame, name: str, line: str, confidence: float) -> go.Scatter:
    """Draw one dot per row of `points`, named by its index, with its interval."""
    return go.Scatter(
        orientation="h",
        x=points["value"],
        y=[words_of(str(label)) for label in points.index],
        error_x=interval_bars(points),
        customdata=points[["lower", "upper", "n"]],
        hovertemplate=(
            "%{y}: <b>%{x:.3f}</b><br>"
            f"{confidence:.0%} interval " + "%{customdata[0]:.3f} to %{customdata[1]:.3f}, n = %{customdata[2]}"
        ),
        name=name,
        mode="markers",
        marker={"size": 9, "color": line},
    )


def _agreement_map(agreement: pd.DataFrame, scorers: list[str]) -> go.Heatmap:
    """Draw the share of equal choices of every two scorers; the diagonal says nothing and stays empty."""
    shares = agreement.pivot_table(index="scorer", columns="other", values="share")
    shares = shares.reindex(index=scorers, columns=scorers)
    shares = shares.fillna(shares.T)
    labels = [words_of(scorer) for scorer in scorers]
    return go.Heatmap(
        z=shares,
        x=labels,
        y=labels,
        zmin=0,
        zmax=1,
        colorscale=[[0, "#f7fafd"], [1, "#9cc3ee"]],  # light throughout: its numbers are read in dark mode too
        showscale=False,
        texttemplate="%{z:.0%}",
        textfont={"size": 11, "color": "#1d2127"},
        hovertemplate="%{y} and %{x}: %{z:.2f}<extra></extra>",
        hoverongaps=False,
    )
