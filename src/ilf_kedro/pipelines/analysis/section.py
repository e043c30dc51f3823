"""What the analysis found, as a section of the report and a page of its own."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from ilf_kedro.pipelines.analysis.figures import divergences_figure, likelihoods_figure, train_targets_figure
from ilf_kedro.pipelines.analysis.options import AnalysisOptions
from ilf_kedro.pipelines.analysis.published import published_divergences, published_likelihoods, readable, with_error
from ilf_kedro.pipelines.names import Arm
from ilf_kedro.report.labels import arm_and_size, in_order, model_label, number_or_none, words_of
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import DataFrame, Divergences, MissingTargets, PublishedResults, TargetLikelihoods
from ilf_kedro.schemas.names import BASE_MODEL

_PROSE = Prose(__package__)
_CONDITIONS = {"test_inputs": "given test inputs", "unconditional": "unconditional"}
_COLUMNS = {"nll_per_token": ("NLL", 3), "perplexity": ("perplexity", 2), "nll_minus_base": ("Δ NLL", 4)}
_FEW = 30


def describe_analysis(
    likelihoods: DataFrame[TargetLikelihoods],
    missing: DataFrame[MissingTargets],
    divergences: DataFrame[Divergences],
    published: DataFrame[PublishedResults],
    options: AnalysisOptions,
    reporting: ReportingOptions,
    *,
    left_out: Sequence[Arm] = (),
) -> Section:
    """Describe what finetuning did to each model, in plain words first, with the published figures beside."""
    return Section(
        "analysis",
        "What finetuning did to the models",
        (
            Paragraph(_lead(likelihoods, divergences), lead=True),
            *([Paragraph(_PROSE.left_out(left_out))] if left_out else []),
            *_likelihood_parts(likelihoods, missing, published, options, reporting),
            *_divergence_parts(divergences, published, options, reporting),
        ),
    )


def _lead(likelihoods: pd.DataFrame, divergences: pd.DataFrame) -> str:
    """Say what the largest models came to, calling a difference one only where its interval leaves 0 out."""
    largest = max((arm_and_size(model) or ("", 0))[1] for model in divergences["model"])
    suffix = f".n{largest}"
    changed = likelihoods[(likelihoods["metric"] == "nll_minus_base") & likelihoods["model"].str.endswith(suffix)]
    changes = [
        row | {"sure": pd.notna(row["lower"]) and (row["upper"] < 0 or row["lower"] > 0)}
        for row in changed.to_dict("records")
    ]
    chosen = divergences.query(
        "condition == 'test_inputs' and estimator == 'controlled' and unit == 'nats_per_sequence'"
    )
    moved = [
        f"{words_of((arm_and_size(row['model']) or ('', 0))[0])} {readable(row['value'], 3)} ({_range(row, 3)})"
        for row in chosen[chosen["model"].str.endswith(suffix)].to_dict("records")
        if row["direction"] == "forward"
    ]
    return _PROSE.lead(largest, changes, moved)


def _likelihood_parts(
    likelihoods: DataFrame[TargetLikelihoods],
    missing: DataFrame[MissingTargets],
    published: DataFrame[PublishedResults],
    options: AnalysisOptions,
    reporting: ReportingOptions,
) -> list[Part]:
    held_out = likelihoods[likelihoods["split"] != "train"]
    tuned = held_out[held_out["model"] != BASE_MODEL]
    confidence = reporting.confidence
    parts: list[Part] = [
        Heading("Likelihood of each arm's own kind of target"),
        Paragraph(_PROSE.targets(options.split)),
    ]
    if len(missing):
        parts.append(Paragraph(_PROSE.missing(missing.to_dict("records"))))
    if len(tuned):
        if tuned["n"].min() < _FEW:
            parts.append(Paragraph(_PROSE.few(tuned["n"].min())))
        figure = likelihoods_figure(likelihoods, confidence)
        table = _likelihood_table(held_out)
        parts += [
            Figure(
                "likelihoods", figure, _PROSE.likelihoods_figure(confidence), sources=("analysis.target_likelihoods",)
            ),
            Table(
                table,
                _PROSE.likelihoods_table(),
                sources=("analysis.target_likelihoods",),
                column_digits=dict(_COLUMNS.values()),
            ),
        ]
    figure = train_targets_figure(likelihoods, confidence)
    beside = published_likelihoods(likelihoods, published)
    return [
        *parts,
        Heading("Likelihood of the train targets under the base model"),
        Paragraph(_PROSE.train_targets()),
        Figure(
            "train-targets", figure, _PROSE.train_targets_figure(confidence), sources=("analysis.target_likelihoods",)
        ),
        Table(
            beside,
            _PROSE.published_likelihoods(),
            sources=("analysis.target_likelihoods", "published_results"),
            prose=True,
        ),
    ]


def _divergence_parts(
    divergences: DataFrame[Divergences],
    published: DataFrame[PublishedResults],
    options: AnalysisOptions,
    reporting: ReportingOptions,
) -> list[Part]:
    parts: list[Part] = [
        Heading("Divergence from the base model"),
        Paragraph(_PROSE.how_sampled(options)),
        Paragraph(_PROSE.two_estimates(_discrepancy(divergences))),
    ]
    for condition, words in _CONDITIONS.items():
        unit = "inputs" if condition == "test_inputs" else "samples"
        figure = divergences_figure(divergences, condition, reporting.confidence)
        caption = _PROSE.divergences_figure(words, reporting.confidence, unit)
        parts.append(Figure(condition.replace("_", "-"), figure, caption, sources=("analysis.divergences",)))
        parts.append(
            Table(
                _divergence_table(divergences, condition),
                _PROSE.divergences_table(words, unit),
                sources=("analysis.divergences",),
                digits=4,
            )
        )
    beside = published_divergences(divergences, published)
    return [
        *parts,
        Table(
            beside, _PROSE.published_divergences(), sources=("analysis.divergences", "published_results"), prose=True
        ),
    ]


def _likelihood_table(held_out: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (model, arm), group in held_out.groupby(["model", "arm"], sort=False):
        by_metric = {found["metric"]: found for found in group.to_dict("records")}
        row: dict[str, object] = {"model": model_label(str(model), 0), "targets": words_of(str(arm))}
        row["n"] = int(group["n"].iloc[0])
        for metric, (short, digits) in _COLUMNS.items():
            if metric in by_metric:
                found = by_metric[metric]
                row |= {short: found["value"], f"{short}: interval": _range(found, digits)}
        rows.append(row)
    return pd.DataFrame(rows)


def _divergence_table(divergences: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return one row per model and direction, the plain estimate first, then that with the control variate."""
    shown = divergences[divergences["condition"] == condition]
    rows = []
    for model in in_order(shown["model"]):
        for direction, group in shown[shown["model"] == model].groupby("direction", sort=False):
            found = {(row["estimator"], row["unit"]): row for row in group.to_dict("records")}
            plain, controlled = (found[name, "nats_per_sequence"] for name in ("log_ratio", "controlled"))
            rows.append(
                {
                    "model": model_label(model, 0),
                    "direction": str(direction),
                    "n": int(plain["n"]),
                    "plain": with_error(plain, 4),
                    "of sampling": number_or_none(plain["monte_carlo_error"]),
                    "plain: interval": _range(plain, 4),
                    "with control": with_error(controlled, 4),
                    "with control: interval": _range(controlled, 4),
                    "plain, per token": with_error(found["log_ratio", "nats_per_token"], 4),
                    "with control, per token": with_error(found["controlled", "nats_per_token"], 4),
                }
            )
    table = pd.DataFrame(rows)
    return table.drop(columns="of sampling") if condition == "unconditional" else table


def _range(row: Mapping[Hashable, Any], digits: int) -> str:
    """Return an interval's ends, or that there is none."""
    if pd.isna(row["lower"]):
        return "no interval"
    return f"{readable(row['lower'], digits)} to {readable(row['upper'], digits)}"


def _discrepancy(divergences: pd.DataFrame) -> str:
    return f"{divergences['discrepancy'].abs().max():.1g}"
