"""From a model to its training rows, their refinements, the feedback and who wrote it; and from a person to models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from ilf_kedro.pipelines.names import CONTROL_ARMS
from ilf_kedro.report.labels import arm_and_size
from ilf_kedro.schemas import DataFrame, Examples, RankedSelections, Selections, Targets, TrainingRows
from ilf_kedro.schemas.names import WITH_FEEDBACK

__all__ = ["Touched", "touched_models", "training_rows"]

_WRITERS = {
    "references": "annotator",
    "refinement_model": "annotator",
    "initial_outputs": "initial output",
    "best_of_n_outputs": "base model",
}


@dataclass(frozen=True, slots=True)
class Touched:
    """How many of a model's training rows are an annotator's, of all that it has."""

    model: str
    n_rows: int
    n_all: int


def training_rows(
    model: str,
    targets: DataFrame[Targets],
    examples: DataFrame[Examples],
    selections: DataFrame[Selections] | DataFrame[RankedSelections] | None,
    target_scorer: str,
) -> DataFrame[TrainingRows]:
    """Return what `model`, such as finetune.refinements.n100, was finetuned on, in the order of the training table."""
    arm = str((arm_and_size(model) or ("", 0))[0])
    of_people = examples.set_index("example_id")[["feedback", "annotator"]]
    rows = targets[["example_id", "target"]].join(of_people, on="example_id")
    writer = _WRITERS.get(arm)
    if writer is None and selections is not None:
        method = CONTROL_ARMS.get(arm, WITH_FEEDBACK)  # type: ignore[call-overload]  # any name may be looked up
        chosen = selections[(selections["scorer"] == target_scorer) & (selections["method"] == method)]
        found = chosen[["example_id", "text", "sample_index", "score"]].drop_duplicates(["example_id", "text"])
        if arm == "feedback_and_refinement":  # its targets hold the feedback too
            rows = rows.merge(found.drop(columns="text"), on="example_id", how="left")
        else:
            rows = rows.merge(found, left_on=["example_id", "target"], right_on=["example_id", "text"], how="left")
        writer = method
    absent = pd.Series(index=rows.index, dtype=float)
    return TrainingRows.validate(
        pd.DataFrame(
            {
                "model": model,
                "example_id": rows["example_id"],
                "target": rows["target"],
                "written_by": writer or "unknown",
                "sample_index": rows.get("sample_index", absent).astype(float),
                "score": rows.get("score", absent).astype(float),
                "feedback": rows["feedback"],
                "annotator": rows["annotator"],
            }
        )
    )


def touched_models(
    annotators: Collection[str], examples: DataFrame[Examples], targets: Mapping[str, DataFrame[Targets]]
) -> list[Touched]:
    """Return every model with the number of its training rows that are about examples of these annotators."""
    theirs = set(examples.loc[examples["annotator"].isin(annotators), "example_id"])
    return [Touched(model, int(table["example_id"].isin(theirs).sum()), len(table)) for model, table in targets.items()]
