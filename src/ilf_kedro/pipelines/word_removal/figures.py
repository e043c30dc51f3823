"""The figures of targeted word removal: exact match with its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ilf_kedro.report.labels import GREY
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.schemas import DataFrame, ExactMatches
from ilf_kedro.schemas.word_removal import ALL
from ilf_kedro.schemas.wording import counted

__all__ = ["exact_match_figure", "removal_title"]


def exact_match_figure(
    exact: DataFrame[ExactMatches], labels: Mapping[str, str], colours: Mapping[str, str], confidence: float
) -> go.Figure:
    """Draw every model's exact match as a dot with its interval: all sentences together, then by number to remove.

    `labels` names the models to show, from top to bottom.
    """
    shown = exact[exact["model"].isin(list(labels))]
    numbers = sorted(shown["n_to_remove"].unique())
    heights = [34 + 27 * len(labels)] * len(numbers)
    figure = panels([removal_title(number) for number in numbers], heights=heights, gap=52, shared_x=True)
    for row, number in enumerate(numbers, start=1):
        points = shown[shown["n_to_remove"] == number].set_index("model").reindex(list(labels))
        figure.add_trace(
            go.Scatter(
                x=points["exact_match"],
                y=[labels[model] for model in points.index],
                error_x=interval_bars(points, "exact_match", thickness=1.6, colour=GREY),
                customdata=points[["lower", "upper", "n"]],
                hovertemplate=(
                    "%{y}: <b>%{x:.1%}</b><br>"
                    f"{confidence:.0%} interval " + "%{customdata[0]:.1%} to %{customdata[1]:.1%}, n = %{customdata[2]}"
                    "<extra></extra>"
                ),
                mode="markers",
                marker={"size": 10, "color": _colours_of(list(points.index), colours)},
            ),
            row=row,
            col=1,
        )
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", tickvals=[0, 0.5, 1], tickangle=0, showticklabels=True)
    figure.update_xaxes(title_text="exact match", row=len(numbers), col=1)
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(showlegend=False)
    return figure


def removal_title(number: int) -> str:
    """Return what a number of words to remove is called."""
    return "All sentences" if number == ALL else f"{counted(number, 'word')} to remove"


def _colours_of(models: Sequence[str], colours: Mapping[str, str]) -> list[str]:
    return [colours.get(model, GREY) for model in models]
