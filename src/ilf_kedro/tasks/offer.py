"""What the data of a task offer and lack, split by split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ilf_kedro.schemas import SPLITS, Comparisons, DataFrame, Examples, Offers, Options, Split
from ilf_kedro.tasks.options import Task

__all__ = ["Offer", "Offered", "SplitOffer"]

Offered = Literal["examples", "feedback", "initial_outputs", "references", "comparisons"]

_COLUMNS: dict[Offered, str] = {
    "examples": "inputs",
    "feedback": "columns.feedback",
    "initial_outputs": "columns.initial_output",
    "references": "columns.reference",
    "comparisons": "columns.comparison",
}


class SplitOffer(Options):
    """How many examples of a split have what; `inputs` counts different inputs, `annotators` different people."""

    examples: int = 0
    inputs: int = 0
    feedback: int = 0
    initial_outputs: int = 0
    references: int = 0
    comparisons: int = 0
    annotators: int = 0
    groups: int = 0


class Offer(Options):
    """What each split has; `columns` says where the task looks for it, null where it does not."""

    splits: Mapping[Split, SplitOffer]
    columns: Mapping[Offered, str | None]

    @classmethod
    def of(
        cls,
        task: Task,
        examples: Mapping[Split, DataFrame[Examples]],
        comparisons: Mapping[Split, DataFrame[Comparisons]],
    ) -> Offer:
        """Count what the tables have."""
        counts = {split: _count(examples[split], comparisons[split]) for split in SPLITS}
        return cls(splits=counts, columns=_places(task))

    @classmethod
    def from_table(cls, task: Task, table: DataFrame[Offers]) -> Offer:
        """Return what a table of counts says of the task's data."""
        counts = {split: SplitOffer() for split in SPLITS}
        counts |= {row.pop("split"): SplitOffer.model_validate(row) for row in table.to_dict("records")}
        return cls(splits=counts, columns=_places(task))

    def table(self) -> DataFrame[Offers]:
        """Return the counts as a table."""
        return Offers.from_rows({"split": split, **has.model_dump()} for split, has in self.splits.items())

    def has(self, what: Offered, split: Split | None = None) -> bool:
        """Tell whether a split has any of it; without a split, whether one has."""
        return any(getattr(self.splits[each], what) for each in ([split] if split else SPLITS))

    def missing(self, what: Offered, split: Split) -> str | None:
        """Say in a sentence that a split lacks something, naming the column and the remedy; None where it has some."""
        if self.has(what, split):
            return None
        named = what.replace("_", " ")
        if not self.has("examples", split) and what != "comparisons":
            return f"there is no {split} split; give it rows, or a share in task.splits"
        column = self.columns[what]
        if column is None:
            return f"the data have no {named}: task.{_COLUMNS[what]} is null; name the column that has them"
        return f"no row of {split} has {named} (task.{_COLUMNS[what]}: {column})"


def _places(task: Task) -> dict[Offered, str | None]:
    """Return where the task looks for what."""
    columns = task.columns
    preference = task.comparisons or columns.comparison
    return {
        "examples": ", ".join(each.column for each in task.inputs.values()),
        "feedback": columns.feedback,
        "initial_outputs": columns.initial_output,
        "references": columns.reference,
        "comparisons": f"{preference.a}, {preference.b}" if preference else None,
    }


def _count(examples: DataFrame[Examples], comparisons: DataFrame[Comparisons]) -> SplitOffer:
    return SplitOffer(
        examples=len(examples),
        inputs=examples["input_id"].nunique(),
        feedback=int(examples["feedback"].notna().sum()),
        initial_outputs=int(examples["initial_output"].notna().sum()),
        references=int(examples["reference"].notna().sum()),
        comparisons=len(comparisons),
        annotators=examples["annotator"].nunique(),
        groups=examples["group"].nunique(),
    )
