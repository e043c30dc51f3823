"""The bars of intervals, as plotly draws them: from the value up by `array`, and down by `arrayminus`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from ilf_kedro.report.plots import interval_bars, panels


def test_bars_reach_from_lower_to_upper_and_are_missing_without_bounds() -> None:
    points = pd.DataFrame({"share": [0.5, 0.9, 0.2], "lower": [0.25, 0.4, np.nan], "upper": [0.625, 1.0, np.nan]})
    trace = go.Scatter(x=points["share"], error_x=interval_bars(points, "share", thickness=2, width=5))
    bars = trace.error_x
    assert not bars.symmetric
    assert list(trace.x + bars.array) == pytest.approx([0.625, 1.0, np.nan], nan_ok=True)
    assert list(trace.x - bars.arrayminus) == pytest.approx([0.25, 0.4, np.nan], nan_ok=True)
    assert (bars.thickness, bars.width, bars.color) == (2, 5, None)


def test_bars_take_a_colour_of_their_own() -> None:
    points = pd.DataFrame({"value": [1.0], "lower": [0.0], "upper": [3.0]})
    assert go.Scatter(error_y=interval_bars(points, colour="#808895")).error_y.color == "#808895"


def test_small_numbers_on_axes_are_written_out() -> None:
    figure = panels(["one", "two"], heights=[100, 100])
    axes = [figure.layout[f"{letter}axis{number}"] for letter in "xy" for number in ("", "2")]
    assert {axis.exponentformat for axis in axes} == {"none"}
