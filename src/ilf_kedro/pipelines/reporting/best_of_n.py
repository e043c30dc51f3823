"""Best-of-N in the report: what more samples buy, and where the reference stands among them."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation.best_of_n import best_of_n
from ilf_kedro.pipelines.names import Chooser
from ilf_kedro.report.labels import BEST_OF_N, GREY, colour
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.plots import panels, translucent
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Paragraph, Section
from ilf_kedro.schemas import BestOfN, DataFrame, Examples, Outputs, Rewards

__all__ = ["describe_best_of_n", "measure_best_of_n"]

_PROSE = Prose(__package__, "best_of_n.j2")
_SCORE: dict[Chooser, str] = {"reward_model": "Reward", "verifier": "Verifier's score", "judge": "Judge's preference"}
_PANELS = {"reward": "{score} of the best of n", "rouge_l": "ROUGE-L of the best of n", "kl": "KL bound, nats"}


def measure_best_of_n(
    candidates: DataFrame[Outputs],
    rewards: DataFrame[Rewards],
    examples: DataFrame[Examples],
    options: ReportingOptions,
    seed: int,
) -> DataFrame[BestOfN]:
    """Estimate what the best of n candidates is worth for every n, and the reference's rank."""
    bootstrap = options.bootstrap(seed)
    return best_of_n(candidates, rewards, examples, bootstrap)


def describe_best_of_n(table: DataFrame[BestOfN], options: ReportingOptions, *, chooser: Chooser) -> Section:
    """Say what letting `chooser` choose the best of n gains and costs, with a curve over n."""
    reward = table[table["metric"] == "reward"].set_index("n")
    largest = int(reward.index.max())
    overlap = table[table["metric"] == "rouge_l"].set_index("n")
    ranks = table[table["metric"] == "human_rank"]
    lead = _PROSE.lead(
        largest,
        chooser=chooser,
        best=reward.loc[largest],
        single=reward.loc[1],
        overlap=None if overlap.empty else {"first": overlap.loc[1], "last": overlap.loc[largest]},
        rank=None if ranks.empty else ranks.iloc[0],
    )
    caption = _PROSE.curve(largest, options.confidence, chooser)
    return Section(
        "best-of-n",
        "Best of n",
        (Paragraph(lead), Figure("curve", _figure(table, _SCORE[chooser]), caption, sources=("best_of_n",))),
    )


def _figure(table: DataFrame[BestOfN], score: str) -> go.Figure:
    shown = [metric for metric in _PANELS if metric == "kl" or (table["metric"] == metric).any()]
    figure = panels(
        [_PANELS[metric].format(score=score) for metric in shown], heights=[200] * len(shown), shared_x=True
    )
    line = colour(BEST_OF_N)
    curves = table[table["metric"] == "reward"].sort_values("n")
    for row, metric in enumerate(shown, start=1):
        if metric == "kl":
            trace = go.Scatter(x=curves["n"], y=curves["kl_bound"], mode="lines+markers", line={"color": GREY})
            figure.add_trace(trace.update(hovertemplate="n = %{x}: at most <b>%{y:.3f}</b> nats"), row=row, col=1)
            continue
        points = table[table["metric"] == metric].sort_values("n")
        bounded = points.dropna(subset=["lower", "upper"])
        band = go.Scatter(
            x=pd.concat([bounded["n"], bounded["n"][::-1]]),
            y=pd.concat([bounded["upper"], bounded["lower"][::-1]]),
            fill="toself",
            fillcolor=translucent(line),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
        )
        figure.add_trace(band, row=row, col=1)
        curve = go.Scatter(x=points["n"], y=points["value"], mode="lines+markers", line={"color": line})
        curve.update(customdata=points[["lower", "upper", "n_inputs"]])
        curve.update(
            hovertemplate="n = %{x}: <b>%{y:.3f}</b><br>%{customdata[0]:.3f} to %{customdata[1]:.3f}, "
            "%{customdata[2]} inputs"
        )
        figure.add_trace(curve, row=row, col=1)
    ticks = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= curves["n"].max()]
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[str(n) for n in ticks], showticklabels=True)
    figure.update_xaxes(title_text="n, samples to choose from", row=len(shown), col=1)
    figure.update_layout(showlegend=False)
    return figure
