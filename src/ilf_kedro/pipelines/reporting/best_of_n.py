"""Best-of-N in the report: what more samples buy, and where the reference stands among them."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation.best_of_n import best_of_n
from ilf_kedro.evaluation.intervals import Bootstrap
from ilf_kedro.pipelines.reporting.options import ReportingOptions
from ilf_kedro.report.labels import BEST_OF_N, GREY, colour
from ilf_kedro.report.plots import panels, translucent
from ilf_kedro.report.sections import Figure, Paragraph, Section
from ilf_kedro.schemas import BestOfN, DataFrame, Examples, Outputs, Rewards

__all__ = ["describe_best_of_n", "measure_best_of_n"]

_PANELS = {"reward": "Reward of the best of n", "rouge_l": "ROUGE-L of the best of n", "kl": "KL bound, nats"}


def measure_best_of_n(
    candidates: DataFrame[Outputs],
    rewards: DataFrame[Rewards],
    examples: DataFrame[Examples],
    options: ReportingOptions,
    seed: int,
) -> DataFrame[BestOfN]:
    """Estimate what the best of n candidates is worth for every n, and the reference's rank."""
    bootstrap = Bootstrap(confidence=options.confidence, resamples=options.bootstrap_resamples, seed=seed)
    return best_of_n(candidates, rewards, examples, bootstrap)


def describe_best_of_n(table: DataFrame[BestOfN], options: ReportingOptions) -> Section:
    """Say what choosing the best of n by the reward model gains and costs, with a curve over n."""
    reward = table[table["metric"] == "reward"].set_index("n")
    largest = int(reward.index.max())
    first, last = reward.loc[1], reward.loc[largest]
    sentences = [
        f"The candidate that the reward model likes best of {largest} has a reward of {last['value']:.3f}, a single "
        f"one {first['value']:.3f}: mean over {last['n_inputs']} inputs.",
        _overlap(table, largest),
        _rank(table, largest),
    ]
    caption = (
        f"For each n the mean over all ways to draw n of an input's {largest} candidates, which is unbiased; bands "
        f"are {options.confidence:.0%} bootstrap intervals over inputs. The reward rises by construction. Reward "
        "without overlap with the reference is a sign of a reward model that is being exploited. The bound, "
        "log n − (n − 1) ÷ n, says how far the best of n can be from the sampler at most, per output."
    )
    return Section(
        "best-of-n",
        "Best of n",
        (
            Paragraph(" ".join(sentence for sentence in sentences if sentence)),
            Figure("curve", _figure(table), caption),
        ),
    )


def _overlap(table: DataFrame[BestOfN], largest: int) -> str:
    overlap = table[table["metric"] == "rouge_l"].set_index("n")
    if overlap.empty:
        return ""
    first, last = overlap.loc[1], overlap.loc[largest]
    interval = f" ({last['lower']:.3f} to {last['upper']:.3f})" if pd.notna(last["lower"]) else ""
    return (
        "ROUGE-L against the reference, which the reward model does not see, goes from "
        f"{first['value']:.3f} to {last['value']:.3f}{interval}."
    )


def _rank(table: DataFrame[BestOfN], largest: int) -> str:
    ranks = table[table["metric"] == "human_rank"]
    if ranks.empty:
        return "The split has no references to rank among the candidates."
    row = ranks.iloc[0]
    error = f" ± {row['standard_error']:.2f}" if pd.notna(row["standard_error"]) else ""
    return (
        f"Scored as one more candidate, the reference takes place {row['value']:.2f}{error} of {largest + 1} on "
        f"average over {row['n_inputs']} inputs; were it like any candidate, that would be {(largest + 2) / 2:g}."
    )


def _figure(table: DataFrame[BestOfN]) -> go.Figure:
    shown = [metric for metric in _PANELS if metric == "kl" or (table["metric"] == metric).any()]
    figure = panels([_PANELS[metric] for metric in shown], heights=[200] * len(shown), shared_x=True)
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
