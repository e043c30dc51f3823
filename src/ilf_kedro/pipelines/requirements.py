"""What a pipeline asks of a split, and the message when the split lacks it."""

from __future__ import annotations

from collections.abc import Sequence

from ilf_kedro.schemas import DataFrame, Examples, UserError


class MissingColumnError(UserError):
    """A split lacks texts that a pipeline needs."""


def require_texts(examples: DataFrame[Examples], columns: Sequence[str], *, user: str) -> None:
    """Check that every example has a text in each of `columns`.

    Raises:
        MissingColumnError: naming the split, each column that has gaps, and the first examples that do.
    """
    faults = []
    for column in columns:
        gaps = examples[examples[column].isna() | (examples[column].fillna("").str.strip() == "")]
        if len(gaps):
            names = ", ".join(gaps["example_id"].head(5)) + (" …" if len(gaps) > 5 else "")
            faults.append(f"{column}: missing in {len(gaps)} of {len(examples)} examples ({names})")
    if faults:
        split = ", ".join(sorted(examples["split"].unique()))
        raise MissingColumnError(
            f"{user} needs texts that the split {split!r} lacks:\n  "
            + "\n  ".join(faults)
            + "\nAdd them to the split's file, leave these examples out of it, or lower train_sizes."
        )
