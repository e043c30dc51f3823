"""What the figures of every page share: panels, the bars of intervals, translucent colours."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

__all__ = ["interval_bars", "panels", "translucent"]


def panels(titles: Sequence[str], *, heights: Sequence[int], gap: int = 62, shared_x: bool = False) -> go.Figure:
    """Create panels one below the other, each with its title at the left: readable on a phone too.

    `heights` and the `gap` between panels are in pixels.
    """
    total = sum(heights)
    figure = make_subplots(
        rows=len(titles),
        cols=1,
        shared_xaxes=shared_x,
        subplot_titles=[f"<b>{title}</b>" for title in titles],
        vertical_spacing=min(0.95 / max(1, len(titles) - 1), gap / total),
        row_heights=list(heights),
    )
    figure.update_annotations(x=0, xanchor="left", yshift=4, font_size=13)
    figure.update_layout(
        template="plotly_white",
        height=total + 110,
        margin={"l": 10, "r": 14, "t": 34, "b": 40},
        font={"family": "system-ui, sans-serif", "size": 13},
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    )
    # Small numbers as they are: −0.0002, not −200µ.
    figure.update_xaxes(automargin=True, title_font_size=13, exponentformat="none")
    figure.update_yaxes(automargin=True, title_font_size=13, exponentformat="none")
    return figure


def translucent(hexadecimal: str, opacity: float = 0.16) -> str:
    """Return a colour such as "#2f7fd1" as rgba with the opacity."""
    red, green, blue = (int(hexadecimal[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def interval_bars(
    points: pd.DataFrame,
    value: str = "value",
    *,
    thickness: float = 1.4,
    width: float = 4,
    colour: str | None = None,
) -> dict[str, object]:
    """Return the bars from `lower` to `upper` of every row, as a trace's error_x or error_y.

    `value` is the column that the trace draws; where a bound is null, there is no bar. Thickness and width of the
    caps are in pixels; without a colour of their own the bars have the trace's.
    """
    bars = {
        "type": "data",
        "symmetric": False,
        "array": points["upper"] - points[value],
        "arrayminus": points[value] - points["lower"],
        "thickness": thickness,
        "width": width,
    }
    return bars if colour is None else {**bars, "color": colour}
