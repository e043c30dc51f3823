"""The report's section on the arms that write more than an output."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ilf_kedro.pipelines.finetune.refiners import REFINER
from ilf_kedro.report.labels import arm_and_size, number_or_none, signed
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Heading, Paragraph, Part, Section, Table
from ilf_kedro.schemas import DataFrame, JointOutputs, RefinerMetrics

_PROSE = Prose(__package__)
_Figures = Mapping[tuple[str, str], Mapping[Hashable, Any]]

_STATUSES = {
    "parsed": "taken apart",
    "no_marker": "no marker",
    "several_markers": "two markers or more",
    "no_end": "no end marker",
    "several_ends": "two end markers or more",
    "empty": "a part empty",
}
_METRICS = {
    "instruct_rm_ensemble": "InstructRM mean",
    "rouge_l": "ROUGE-L",
    "length_tokens": "Tokens",
}


def describe_arms(metrics: DataFrame[RefinerMetrics] | None = None, **joint: DataFrame[JointOutputs]) -> Section:
    """Describe how many joint outputs could be taken apart, and how the refinement models refine.

    `joint` has the outputs of each model of the arm feedback_and_refinement by its name.
    """
    parts: list[Part] = []
    if joint:
        parts += _joint_parts(joint)
    if metrics is not None:
        parts += _refiner_parts(metrics)
    return Section("arms", "Arms that write more than an output", tuple(parts))


def _joint_parts(joint: dict[str, DataFrame[JointOutputs]]) -> list[Part]:
    rows = []
    for name, outputs in joint.items():
        counts = outputs["status"].value_counts()
        row: dict[str, object] = {"model": _label(name), "test inputs": len(outputs)}
        row |= {words: int(counts.get(status, 0)) for status, words in _STATUSES.items()}
        rows.append(row)
    last = list(joint.values())[-1]
    parsed, n = int((last["status"] == "parsed").sum()), len(last)
    from_model = int((last["output_by"] != "split").sum())
    return [
        Heading("Feedback and refinement written jointly"),
        Paragraph(_PROSE.joint_lead(parsed, n), lead=True),
        Table(
            pd.DataFrame(rows),
            _PROSE.joint_table(from_model, n),
            sources=tuple(f"{name}.joint_outputs" for name in joint),
        ),
    ]


def _refiner_parts(metrics: DataFrame[RefinerMetrics]) -> list[Part]:
    figures: _Figures = {(str(row["refiner"]), str(row["metric"])): row for row in metrics.to_dict("records")}
    refiners = [REFINER, *(name for name in dict.fromkeys(metrics["refiner"]) if name != REFINER)]
    n = int(metrics["n"].max())
    rows = []
    for refiner in refiners:
        row: dict[str, object] = {"refiner": "the catalog's refiner" if refiner == REFINER else _label(refiner)}
        for metric, words in _METRICS.items():
            row[words] = figures[refiner, metric]["value"] if (refiner, metric) in figures else None
            row[f"Δ {words}"] = _difference(figures, refiner, metric)
        rows.append(row)
    return [
        Heading("The refinement model"),
        Paragraph(_verdict(figures, refiners[-1], n), lead=True),
        Table(
            pd.DataFrame(rows),
            _PROSE.refiner_table(n),
            sources=("finetune.refinement_model.metrics",),
            column_digits={_METRICS["length_tokens"]: 1},
        ),
    ]


def _verdict(figures: _Figures, model: str, n: int) -> str:
    """Say whether the model of the most examples refines better by InstructRM's score, if that can be said."""
    row = figures[model, "instruct_rm_ensemble_minus_refiner"]
    lower, upper = number_or_none(row["lower"]), number_or_none(row["upper"])
    better = None if lower is None or upper is None or lower <= 0 <= upper else lower > 0
    return _PROSE.refiner_lead(n, _difference(figures, model, "instruct_rm_ensemble"), better)


def _difference(figures: _Figures, refiner: str, metric: str) -> str | None:
    key = (refiner, f"{metric}_minus_{REFINER}")
    if key not in figures:
        return None
    row = figures[key]
    lower, upper = number_or_none(row["lower"]), number_or_none(row["upper"])
    ends = f", {signed(lower)} to {signed(upper)}" if lower is not None and upper is not None else ", no interval"
    return signed(number_or_none(row["value"])) + ends


def _label(model: str) -> str:
    arm_size = arm_and_size(model)
    return f"{arm_size[0].replace('_', ' ')}, {arm_size[1]:,} examples" if arm_size else model
