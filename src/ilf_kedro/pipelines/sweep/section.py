"""The report's section on the sweep: every trial, the winners, and how to use them."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.pipelines.sweep.design import FACTORS, FIRST
from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.report.labels import colour, words_of
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Code, Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import DataFrame, SweepWinners, Trials

_PROSE = Prose(__package__)
_FACTOR_LABELS = {
    "epochs": "Epochs",
    "prompt_loss_weight": "Prompt loss weight",
    "learning_rate_multiplier": "Learning-rate multiplier",
}
_SCORE = "nll_references"


def describe_sweep(
    trials: DataFrame[Trials], winners: DataFrame[SweepWinners], options: SweepOptions, reporting: ReportingOptions
) -> Section:
    """Describe the trials, their cost, which options won for each arm, and what cannot be concluded."""
    return Section(
        "sweep",
        "Sweep of training options",
        (
            Paragraph(_verdict(trials, winners), lead=True),
            Paragraph(_method(trials, options)),
            Table(_winners_table(winners), _PROSE.winners_table(), sources=("sweep.winners",), column_digits=_DIGITS),
            Paragraph(_PROSE.setting()),
            Code(_setting(winners)),
            Figure(
                "factors",
                _factors_figure(trials, options),
                _PROSE.factors_figure(options.design, reporting.confidence),
                sources=("sweep.trials",),
            ),
            Heading("Every trial"),
            Table(
                _labelled(trials, _OPTION_COLUMNS),
                _PROSE.options_table(),
                sources=("sweep.trials",),
                digits=4,
                column_digits=_DIGITS,
            ),
            Table(
                _labelled(trials, _COST_COLUMNS),
                _PROSE.costs_table(),
                sources=("sweep.trials",),
                digits=4,
                column_digits=_DIGITS,
            ),
        ),
    )


_DIGITS = {"seconds": 1, "prompt loss weight": 2, "multiplier": 2}
_OPTION_COLUMNS = {
    "arm": "arm",
    "trial": "trial",
    "factor": "changed",
    "epochs": "epochs",
    "prompt_loss_weight": "prompt loss weight",
    "learning_rate_multiplier": "multiplier",
    "nll_references": "NLL of references",
    "standard_error": "its error",
    "nll_own_targets": "NLL of own targets",
}
_COST_COLUMNS = {
    "arm": "arm",
    "trial": "trial",
    "seed": "seed",
    "n_examples": "examples",
    "n_steps": "steps",
    "n_tokens": "tokens",
    "seconds": "seconds",
    "final_loss": "last loss",
    "status": "status",
}


def _verdict(trials: DataFrame[Trials], winners: DataFrame[SweepWinners]) -> str:
    """Say how far apart the trials of an arm are, against how uncertain one of them is."""
    spreads = []
    for winner in winners.to_dict("records"):
        scores = trials.loc[(trials["arm"] == winner["arm"]) & trials[_SCORE].notna(), _SCORE]
        spreads.append({"arm": winner["arm"], "nats": float(scores.max() - scores.min())})
    error = float(trials["standard_error"].dropna().median()) if trials["standard_error"].notna().any() else None
    return _PROSE.lead(int(trials["n_development"].max()), spreads, error)


def _method(trials: DataFrame[Trials], options: SweepOptions) -> str:
    by_arm = trials.groupby("arm", sort=False)
    steps = {str(arm): int(total) for arm, total in by_arm["n_steps"].sum().items()}
    return _PROSE.method(options.design, by_arm.size().iloc[0], steps, options.chosen_by)


def _setting(winners: DataFrame[SweepWinners]) -> str:
    """Return the winners as parameters: a line of YAML for each."""
    lines = [
        f"    - {{train_size: {row['train_size']}, arm: {row['arm']}, "
        + ", ".join(f"{name}: {row[name]:g}" for name in FACTORS)
        + "}"
        for row in winners.to_dict("records")
    ]
    return "\n".join(["finetune:", "  per_size:", *lines])


def _winners_table(winners: DataFrame[SweepWinners]) -> pd.DataFrame:
    table = winners[["arm", "train_size", *FACTORS, "score", "n_trials", "n_diverged", "n_steps"]].copy()
    table["arm"] = table["arm"].map(words_of)
    return table.rename(
        columns={
            "train_size": "train size",
            "prompt_loss_weight": "prompt loss weight",
            "learning_rate_multiplier": "multiplier",
            "score": "NLL",
            "n_trials": "trainings",
            "n_diverged": "diverged",
            "n_steps": "steps",
        }
    )


def _labelled(trials: DataFrame[Trials], names: dict[str, str]) -> pd.DataFrame:
    """Return the columns asked for, in plain words."""
    table = trials.assign(arm=trials["arm"].map(words_of), factor=trials["factor"].str.replace("_", " "))
    return table[list(names)].rename(columns=names)


def _factors_figure(trials: DataFrame[Trials], options: SweepOptions) -> go.Figure:
    """Draw the score over each option's values, one line per arm."""
    figure = panels([f"{label}: NLL of references" for label in _FACTOR_LABELS.values()], heights=[230] * 3)
    scored = trials[trials[_SCORE].notna()]
    for panel, factor in enumerate(FACTORS, start=1):
        values = sorted(set(scored[factor]))
        for index, arm in enumerate(dict.fromkeys(scored["arm"])):
            points = _points(scored[scored["arm"] == arm], factor, options)
            figure.add_trace(
                go.Scatter(
                    x=[values.index(value) + 0.06 * index for value in points[factor]],
                    y=points[_SCORE],
                    error_y=interval_bars(points, _SCORE, thickness=1, width=3),
                    customdata=points[[factor, "lower", "upper"]],
                    hovertemplate=(
                        f"{factor.replace('_', ' ')} "
                        "%{customdata[0]}: <b>%{y:.4f}</b><br>interval %{customdata[1]:.3f} to %{customdata[2]:.3f}"
                    ),
                    name=words_of(arm),
                    legendgroup=arm,
                    showlegend=panel == 1,
                    mode="lines+markers",
                    line={"color": colour(arm, index)},
                    marker={"size": 8},
                ),
                row=panel,
                col=1,
            )
        figure.update_xaxes(
            tickvals=list(range(len(values))), ticktext=[f"{value:g}" for value in values], row=panel, col=1
        )
    return figure


def _points(trials: pd.DataFrame, factor: str, options: SweepOptions) -> pd.DataFrame:
    """Return one row per value of the factor: the trial that changes it, or in a grid the best that has it."""
    chosen = trials if options.design == "grid" else trials[trials["factor"].isin([factor, FIRST])]
    return chosen.sort_values(_SCORE, kind="stable").drop_duplicates(factor).sort_values(factor)
