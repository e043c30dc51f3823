"""Which options a sweep tries: one factor at a time, or every combination."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.training.options import TrainingOptions

__all__ = ["FACTORS", "FIRST", "Trial", "list_trials"]

FACTORS = ("epochs", "prompt_loss_weight", "learning_rate_multiplier")
FIRST = "first"
GRID = "grid"


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of options; `factor` is what differs from the first trial ("grid": everything may)."""

    number: int
    factor: str
    epochs: int
    prompt_loss_weight: float
    learning_rate_multiplier: float

    def apply(self, options: TrainingOptions) -> TrainingOptions:
        """Return the options with this trial's in them."""
        return options.model_copy(update={name: getattr(self, name) for name in FACTORS})


def list_trials(options: SweepOptions, first: TrainingOptions) -> tuple[Trial, ...]:
    """Return the trials in their order; `first` are the options to start from, the same for every arm.

    One factor at a time, these are the first trial, and each other trial differs from them in one option. A
    combination stands in the list once.
    """
    values = {name: tuple(getattr(options, name)) for name in FACTORS}
    start = {name: getattr(first, name) for name in FACTORS}
    if options.design == "grid":
        combinations = [(GRID, dict(zip(FACTORS, each, strict=True))) for each in product(*values.values())]
    else:
        combinations = [(FIRST, start)]
        combinations += [(name, {**start, name: value}) for name in FACTORS for value in values[name]]
    unique: dict[tuple[float, ...], tuple[str, dict[str, float]]] = {}
    for factor, chosen in combinations:
        unique.setdefault(tuple(float(chosen[name]) for name in FACTORS), (factor, chosen))
    return tuple(
        Trial(
            number,
            factor,
            int(chosen["epochs"]),
            float(chosen["prompt_loss_weight"]),
            float(chosen["learning_rate_multiplier"]),
        )
        for number, (factor, chosen) in enumerate(unique.values())
    )
