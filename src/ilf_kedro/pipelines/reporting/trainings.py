"""What each model was trained on, as its log says."""

from __future__ import annotations

from dataclasses import dataclass

from ilf_kedro.report.labels import arm_and_size, in_order
from ilf_kedro.schemas import DataFrame, TrainingLogs

__all__ = ["Training", "trainings"]


@dataclass(frozen=True, slots=True)
class Training:
    """How many examples a training had, how many of their inputs were truncated, and how many steps it took.

    `asked` is the train size that its name tells; null where it tells none.
    """

    model: str
    asked: int | None
    n_examples: int
    n_truncated: int
    n_steps: int


def trainings(logs: DataFrame[TrainingLogs]) -> tuple[Training, ...]:
    """Return the trainings of the logs in the report's order."""
    last = logs.sort_values("step").groupby("model").last().to_dict("index")
    found = []
    for model in in_order(map(str, last)):
        row, trained = last[model], arm_and_size(model)
        found.append(
            Training(
                model=model,
                asked=trained[1] if trained else None,
                n_examples=int(row["n_examples"]),
                n_truncated=int(row["n_truncated"]),
                n_steps=int(row["step"]),
            )
        )
    return tuple(found)
