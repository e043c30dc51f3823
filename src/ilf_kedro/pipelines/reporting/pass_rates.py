"""The report's section on what a verifier says: of refinements by method, and of every model's outputs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from textwrap import wrap
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from ilf_kedro.evaluation import pass_rates as rates
from ilf_kedro.evaluation.model_metrics import with_references
from ilf_kedro.pipelines.finetune.options import FinetuneOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.report.labels import (
    BEST_OF_N,
    GREY,
    arm_and_size,
    colour,
    in_order,
    model_label,
    number_or_none,
    percent,
    words_of,
)
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.plots import interval_bars, panels
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Paragraph, Section, Table
from ilf_kedro.schemas import DataFrame, Examples, Outputs, PassRates, Rewards, Scores, Selections, UserError, Verified
from ilf_kedro.schemas.names import BASE_MODEL, WITH_FEEDBACK
from ilf_kedro.scoring.verifier import SCORER, verify_texts
from ilf_kedro.tasks import Task

_PROSE = Prose(__package__, "pass_rates.j2")
_ROW, _LINE = 34, 22  # pixels a row, and letters in a line of its label
_TEXT = ["example_id", "sample_index"]
_WRITER = {"method": "writer", "model": "writer"}
_CANDIDATES = f"{BEST_OF_N}.candidates"


def verify_outputs(
    examples: DataFrame[Examples], outputs: DataFrame[Outputs], selection: SelectionOptions, task: Task
) -> DataFrame[Verified]:
    """Let the verifier score every output of the test inputs, and the references beside them."""
    every = with_references(examples, outputs).merge(
        outputs[["example_id", "model", "sample_index", "raw_text"]], how="left"
    )
    every["raw_text"] = every["raw_text"].fillna(every["text"])  # a reference is what a person wrote
    texts = zip(every["example_id"], every["text"], every["raw_text"], strict=True)
    scores = verify_texts(selection.verifier, examples, texts, task)
    every["score"] = pd.Series(scores, index=every.index, dtype=float)
    return Verified.validate(every[["example_id", "model", "sample_index", "score"]])


def measure_pass_rates(
    selection: SelectionOptions,
    options: ReportingOptions,
    seed: int,
    scores: DataFrame[Scores] | None = None,
    selections: DataFrame[Selections] | None = None,
    verified: DataFrame[Verified] | None = None,
    candidates: DataFrame[Rewards] | None = None,
) -> DataFrame[PassRates]:
    """Estimate how often the verifier passes refinements, the target scorer's choices, and models' outputs.

    `candidates` has its scores of what best-of-N chose among, where it chose.

    Raises:
        UserError: the verifier's scores are not within 0 and 1.
    """
    texts: list[pd.DataFrame] = []
    picked = pd.DataFrame(columns=["writer", "chosen_by", "example_id", "score"])
    if scores is not None and selections is not None:
        texts.append(scores.loc[scores["scorer"] == SCORER, ["method", *_TEXT, "score"]].rename(columns=_WRITER))
        target = selections.loc[selections["scorer"] == selection.target_scorer, ["method", *_TEXT]]
        picked = target.rename(columns=_WRITER).merge(texts[0], on=["writer", *_TEXT])
        picked["chosen_by"] = selection.target_scorer
    if verified is not None:
        texts.append(verified[["model", *_TEXT, "score"]].rename(columns=_WRITER))
    if candidates is not None:
        scored = candidates[candidates["model"] == BEST_OF_N].assign(model=_CANDIDATES)
        texts.append(scored[["model", *_TEXT, "reward"]].rename(columns={**_WRITER, "reward": "score"}))
    every = pd.concat(texts, ignore_index=True)
    if len(outside := every.loc[(every["score"] < 0) | (every["score"] > 1), "score"]):
        raise UserError(
            f"selection.verifier: found a score of {outside.iloc[0]:g}; a pass rate needs scores from 0 to 1, of which "
            "1 passes. Let the verifier return shares, or take verifier out of task.output.metrics."
        )
    bootstrap = options.bootstrap(seed)
    return rates.pass_rates(every, picked, bootstrap)


def describe_pass_rates(
    pass_rates: DataFrame[PassRates], options: ReportingOptions, finetune: FinetuneOptions
) -> Section:
    """Describe the pass rates: in a sentence first, then of every method and model."""
    known = {(row["writer"], row["chosen_by"], row["metric"]): row for row in pass_rates.to_dict("records")}
    models = [name for name in in_order(pass_rates["writer"]) if name.startswith("finetune.") or name == "reference"]
    methods = [name for name in dict.fromkeys(pass_rates["writer"]) if name not in models]
    label_of = partial(_label, n=finetune.best_of_n)
    best = max(
        (name for name in models if name not in (BASE_MODEL, "reference", BEST_OF_N, _CANDIDATES)),
        default=None,
        key=lambda name: known[name, rates.ANY, "pass@1"]["value"],
    )
    learned = [name for name in models if (arm_and_size(name) or ("",))[0] == "refinements"][-1:]
    lead = _PROSE.lead(
        known.get((WITH_FEEDBACK, rates.ANY, "pass@1")),
        known.get((BASE_MODEL, rates.ANY, "pass@1")),
        *(
            [(label_of(name), known[name, rates.ANY, "pass@1"]) for name in names]
            for names in (learned, [best] if best and best not in learned else [])
        ),
        options.confidence,
    )
    labels = {name: f"refinements {words_of(name)}" for name in methods} | {name: label_of(name) for name in models}
    table = Table(_rows(known, labels), _PROSE.table(options.confidence), sources=("pass_rates",))
    single = pass_rates[(pass_rates["chosen_by"] == rates.ANY) & (pass_rates["metric"] == "pass@1")]
    figure = Figure("rates", _figure(single, labels), _PROSE.figure(options.confidence), sources=("pass_rates",))
    return Section("pass_rates", "Pass rates", (Paragraph(lead, lead=True), figure, table))


def _rows(known: Mapping[tuple[str, str, str], Mapping[Hashable, Any]], labels: Mapping[str, str]) -> pd.DataFrame:
    """Return a row for every rate of every writer, in the order of the labels."""
    rows = []
    for name, label in labels.items():
        for (writer, chosen_by, metric), row in known.items():
            if writer == name and metric != "score":
                by = "" if chosen_by == rates.ANY else f", chosen by {words_of(chosen_by)}"
                mean = known.get((writer, chosen_by, "score")) if metric == "pass@1" else None
                rows.append(
                    {
                        "written by": f"{label}{by}",
                        "metric": metric,
                        "rate": percent(row["value"]),
                        "interval": _interval(row["lower"], row["upper"]),
                        "mean score": None if mean is None else mean["value"],
                        "n": row["n"],
                    }
                )
    return pd.DataFrame(rows)


def _figure(single: pd.DataFrame, labels: Mapping[str, str]) -> go.Figure:
    """Draw how often a single text of each writer passes, a row a writer."""
    points = single.set_index("writer").reindex([name for name in labels if name in set(single["writer"])])
    figure = panels(["Share that passes"], heights=[60 + _ROW * len(points)])
    figure.add_trace(
        go.Scatter(
            orientation="h",
            x=points["value"],
            y=["<br>".join(wrap(labels[str(name)], _LINE)) for name in points.index],
            error_x=interval_bars(points, width=3, colour=GREY),
            customdata=points[["lower", "upper", "n"]],
            hovertemplate="%{y}: <b>%{x:.1%}</b> (%{customdata[0]:.1%} to %{customdata[1]:.1%}), n = %{customdata[2]}",
            mode="markers",
            marker={"size": 8, "color": [_shade(str(name)) for name in points.index]},
        )
    )
    figure.update_xaxes(range=[-0.02, 1.02], dtick=0.25, tickformat=".0%")
    figure.update_yaxes(autorange="reversed", dtick=1, tickfont_size=11)
    return figure.update_layout(showlegend=False)


def _shade(name: str) -> str:
    trained = arm_and_size(name)
    return colour(trained[0] if trained else name)


def _label(name: str, n: int) -> str:
    return f"candidates of best of {n}" if name == _CANDIDATES else model_label(name, n)


def _interval(lower: object, upper: object) -> str:
    low, high = number_or_none(lower), number_or_none(upper)
    return "–" if low is None or high is None else f"{percent(low)} to {percent(high)}"
