"""Cards of models and data in the hub's format: what is known of them from the tables and the run record."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.report.labels import METRICS, arm_and_size, number, number_or_none, percent, thousands, words_of
from ilf_kedro.schemas import (
    DataFrame,
    FeedbackFlags,
    ModelMetrics,
    NearDuplicatePairs,
    Offers,
    Overlaps,
    PassRates,
    RejectedRows,
    TextStatistics,
    TrainingRows,
)
from ilf_kedro.schemas.names import BASE_MODEL
from ilf_kedro.schemas.run_record import RunRecord
from ilf_kedro.tasks import Task

__all__ = ["data_card", "model_card"]

_COUNTED = ("examples", "inputs", "feedback", "initial_outputs", "references", "comparisons", "annotators")
Row = Mapping[Hashable, Any]


def model_card(
    model: str,
    task: Task,
    checkpoint: Checkpoint,
    version: str,
    rows: DataFrame[TrainingRows],
    offer: DataFrame[Offers],
    record: RunRecord,
    metrics: DataFrame[ModelMetrics] | None = None,
    pass_rates: DataFrame[PassRates] | None = None,
    *,
    confidence: float,
) -> str:
    """Return the card of a finetuned model, such as finetune.refinements.n100: what it learned from, and its metrics.

    The intervals are those of the report. Whoever wrote the feedback stays unnamed.
    """
    arm = words_of((arm_and_size(model) or (model, 0))[0])
    made = checkpoint.record
    measured = list(_measured(model, metrics, pass_rates))
    text = (
        _environment()
        .get_template("model_card.md.j2")
        .render(
            label=model.removeprefix("finetune."),
            task=task.name,
            arm=arm,
            made=made,
            checkpoint=version,
            n_rows=len(rows),
            n_feedback=int(rows["feedback"].notna().sum()),
            n_annotators=int(rows["annotator"].nunique()),
            written_by=", ".join(name.replace("_", " ") for name in rows["written_by"].unique()),
            n_train=_count(offer, "train"),
            n_test=_count(offer, "test"),
            confidence=confidence,
            rows=measured,
            record=record,
            training=json.dumps(_training(record), indent=2),
        )
    )
    return _with_header({"library_name": "peft" if made.kind == "lora" else "transformers", "tags": ["ilf"]}, text)


def data_card(
    task: Task,
    offer: DataFrame[Offers],
    statistics: DataFrame[TextStatistics],
    rejected: DataFrame[RejectedRows],
    near: DataFrame[NearDuplicatePairs],
    flags: DataFrame[FeedbackFlags] | None = None,
    overlaps: DataFrame[Overlaps] | None = None,
) -> str:
    """Return the card of a task's data: how much there is of what, how long it is, and what to know before use."""
    text = (
        _environment()
        .get_template("data_card.md.j2")
        .render(
            task=task.name,
            words=task.words,
            columns=[name for name in _COUNTED if offer[name].any()],
            splits=[row for row in offer.to_dict("records") if row["examples"] or row["comparisons"]],
            lengths=[row for row in statistics.to_dict("records") if row["n"]],
            n_set_aside=len(rejected[["file", "row"]].drop_duplicates()),
            n_near=len(near),
            n_flagged=None if flags is None else len(flags[["split", "example_id"]].drop_duplicates()),
            n_overlapping=0 if overlaps is None else int((overlaps["words"] > 0).sum()),
        )
    )
    return _with_header({"pretty_name": task.name, "tags": ["language-feedback"]}, text)


def _measured(
    model: str, metrics: DataFrame[ModelMetrics] | None, pass_rates: DataFrame[PassRates] | None
) -> Sequence[dict[str, str]]:
    rows = []
    if pass_rates is not None:
        single = pass_rates[(pass_rates["chosen_by"] == "any") & (pass_rates["metric"] == "pass@1")]
        of_writer = {str(row["writer"]): row for row in single.to_dict("records")}
        if model in of_writer:
            rows.append(_row("share that passes (pass@1)", of_writer[model], of_writer.get(BASE_MODEL), 3))
    if metrics is not None:
        found = {(str(row["model"]), str(row["metric"])): row for row in metrics.to_dict("records")}
        for name, metric in METRICS.items():
            if (model, name) in found:
                label = f"{metric.short} ({metric.explanation})"
                rows.append(_row(label, found[model, name], found.get((BASE_MODEL, name)), metric.digits))
    return rows


def _row(name: str, row: Row, base: Row | None, digits: int) -> dict[str, str]:
    lower, upper = number_or_none(row["lower"]), number_or_none(row["upper"])
    return {
        "name": name,
        "value": number(number_or_none(row["value"]), digits),
        "interval": "–" if lower is None else f"{number(lower, digits)} to {number(upper, digits)}",
        "base": number(number_or_none(base["value"]) if base else None, digits),
    }


def _training(record: RunRecord) -> object:
    finetune = record.parameters.get("finetune")
    return finetune.get("training") if isinstance(finetune, dict) else {}


def _count(offer: DataFrame[Offers], split: str) -> int:
    return int(offer.loc[offer["split"] == split, "examples"].sum())


def _with_header(data: dict[str, object], text: str) -> str:
    """Put the metadata that the hub reads before the card."""
    return f"---\n{yaml.safe_dump(data)}---\n\n{text.strip()}\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # Markdown
    )
    environment.filters.update(thousands=thousands, percent=percent, number=number)
    return environment
