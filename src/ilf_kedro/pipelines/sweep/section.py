"""The report's section on the sweep: every trial, the winners, and how to use them."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.pipelines.reporting.options import ReportingOptions
from ilf_kedro.pipelines.sweep.design import FACTORS, FIRST
from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.report.labels import colour, words_of
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import DataFrame, SweepWinners, Trials

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
            Table(
                _winners_table(winners),
                "The winners; trainings and steps are those of all the arm's trials.",
                column_digits=_DIGITS,
            ),
            Paragraph(f"To finetune with them, put this into conf/local/parameters.yml: {_setting(winners)}"),
            Figure("factors", _factors_figure(trials, options), _caption(options, reporting.confidence)),
            Heading("Every trial"),
            Table(
                _labelled(trials, _OPTION_COLUMNS),
                "Options and scores, in nats per token; a dash where the loss diverged, or where the development split "
                "has no targets of the arm's kind.",
                digits=4,
                column_digits=_DIGITS,
            ),
            Table(
                _labelled(trials, _COST_COLUMNS),
                "What each training cost, and with which seed. Seconds are those of the training when it was run; "
                "tokens are those of prompts and targets over all epochs.",
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
    n = int(trials["n_development"].max())
    phrases = []
    for winner in winners.to_dict("records"):
        scores = trials.loc[(trials["arm"] == winner["arm"]) & trials[_SCORE].notna(), _SCORE]
        spread = float(scores.max() - scores.min())
        phrases.append(f"{words_of(str(winner['arm']))} {spread:.3f}")
    error = float(trials["standard_error"].dropna().median()) if trials["standard_error"].notna().any() else None
    noise = f"; one trial's own standard error is about {error:.3f}" if error is not None else ""
    return (
        f"From the best to the worst trial of an arm, references of {n} development inputs differ by this many "
        f"nats per token: {', '.join(phrases)}{noise}. A winner is the best of its list on these inputs, and its score "
        "is therefore a little too good."
    )


def _method(trials: DataFrame[Trials], options: SweepOptions) -> str:
    per_arm = trials.groupby("arm").size().iloc[0]
    steps = ", ".join(
        f"{words_of(str(arm))} {int(total):,}"
        for arm, total in trials.groupby("arm", sort=False)["n_steps"].sum().items()
    )
    design = (
        "One option at a time was changed from the first trial's"
        if options.design == "one_factor"
        else "Every combination of the values was tried"
    )
    criterion = (
        "the references of the development split: the same yardstick for every arm, and the one that the report "
        "uses on the test split"
        if options.chosen_by == "references"
        else "its own kind of targets in the development split"
    )
    return (
        f"{design}, and every arm got the same list of {per_arm} trainings (optimiser steps in all: {steps}). An arm's "
        f"winner has the lowest negative log-likelihood of {criterion}."
    )


def _setting(winners: DataFrame[SweepWinners]) -> str:
    entries = [
        f"{{train_size: {row['train_size']}, arm: {row['arm']}, "
        + ", ".join(f"{name}: {row[name]:g}" for name in FACTORS)
        + "}"
        for row in winners.to_dict("records")
    ]
    return f"finetune: {{per_size: [{', '.join(entries)}]}}"


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


def _caption(options: SweepOptions, confidence: float) -> str:
    shown = (
        "The lowest of all trials with that value"
        if options.design == "grid"
        else "The trials that change one option, and the first trial"
    )
    return (
        f"{shown}: negative log-likelihood of the references of the development split, lower is better, with "
        f"{confidence:.0%} bootstrap intervals over inputs. The trials share their inputs, so differences are more "
        "certain than the intervals look."
    )


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
