"""The figure of the controls: how far refinements by each kind of feedback differ, with intervals."""

from __future__ import annotations

import plotly.graph_objects as go

from ilf_kedro.evaluation.control_metrics import CONTRASTS
from ilf_kedro.report.labels import GREY, colour, words_of
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.schemas import ControlMetrics, DataFrame

__all__ = ["MEASURES", "contrast_label", "differences_figure"]

# What the page calls the measures, in its order.
MEASURES = {
    "instruct_rm_ensemble": "InstructRM score, mean of all",
    "instruct_rm_chosen": "InstructRM score of its own choice",
    "points_incorporated": "Points incorporated, share",
    "points_probability": "Points, mean p(Yes)",
    "length_tokens": "Length, tokens",
}
_DRAWN = {
    "instruct_rm_ensemble": "InstructRM score, difference",
    "points_incorporated": "Share of points, difference",
    "length_tokens": "Tokens, difference",
}


def contrast_label(method: str, baseline: str) -> str:
    """Return what a paired difference is called, such as "with feedback − without feedback"."""
    return f"{words_of(method)} − {words_of(baseline)}"


def differences_figure(metrics: DataFrame[ControlMetrics], confidence: float) -> go.Figure:
    """Draw every paired difference with its interval, a panel per measure; the dotted line is no difference."""
    differences = metrics.dropna(subset="baseline")
    shown = [metric for metric in _DRAWN if metric in set(differences["metric"])]
    figure = panels([_DRAWN[metric] for metric in shown], heights=[190] * len(shown))
    for panel, metric in enumerate(shown, start=1):
        own = differences[differences["metric"] == metric].set_index(["method", "baseline"])
        points = own.reindex([pair for pair in CONTRASTS if pair in own.index])
        figure.add_trace(
            go.Scatter(
                x=points["value"],
                y=["<br>− ".join(contrast_label(*pair).split(" − ")) for pair in points.index],
                error_x=interval_bars(points, colour=GREY),
                customdata=points[["lower", "upper", "n"]],
                hovertemplate=(
                    "%{y}: <b>%{x:.3f}</b><br>"
                    f"{confidence:.0%} interval "
                    "%{customdata[0]:.3f} to %{customdata[1]:.3f}, n = %{customdata[2]}<extra></extra>"
                ),
                mode="markers",
                marker={"size": 9, "color": [colour(method) for method, _ in points.index]},
            ),
            row=panel,
            col=1,
        )
        figure.add_vline(0, line={"color": GREY, "width": 1, "dash": "dot"}, row=panel, col=1)
    figure.update_yaxes(range=[len(CONTRASTS) - 0.5, -0.5], tickfont_size=11)
    figure.update_layout(showlegend=False)
    return figure
