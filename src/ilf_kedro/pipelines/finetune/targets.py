"""What each arm learns to write: one target per example of a nested subset."""

from __future__ import annotations

import logging

from ilf_kedro.options import SelectionOptions
from ilf_kedro.pipelines.requirements import require_texts
from ilf_kedro.schemas import DataFrame, Examples, Selections, Subsets, Targets, UserError

logger = logging.getLogger(__name__)


def target_refinements(
    examples: DataFrame[Examples],
    subsets: DataFrame[Subsets],
    selections: DataFrame[Selections],
    options: SelectionOptions,
    *,
    train_size: int,
) -> DataFrame[Targets]:
    """Take the refinement with feedback that the target scorer chose.

    Examples all of whose refinements are empty have nothing to imitate; they are left out and counted.

    Raises:
        UserError: the scorer chose nothing for some of the subset, because selections are of another run.
    """
    chosen = selections[
        (selections["scorer"] == options.target_scorer) & (selections["method"] == "refinement_with_feedback")
    ]
    subset = _subset(examples, subsets, train_size)
    missing = sorted(set(subset["example_id"]) - set(chosen["example_id"]))
    if missing:
        named = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise UserError(
            f"the scorer {options.target_scorer} has chosen no refinement for {len(missing)} of the {train_size} "
            f"training examples ({named}): the selections are of other train sizes; run "
            "`kedro run --pipelines refinement,selection` again, with the same train_sizes"
        )
    table = subset.merge(chosen[["example_id", "text"]], on="example_id").rename(columns={"text": "target"})
    empty = table["target"] == ""
    if empty.any():
        logger.warning(
            "%d of %d examples have no refinement that is not empty, and are left out of the refinements arm",
            empty.sum(),
            len(table),
        )
    return Targets.validate(table.loc[~empty, ["example_id", "title", "post", "target"]].reset_index(drop=True))


def target_texts(
    examples: DataFrame[Examples], subsets: DataFrame[Subsets], *, column: str, train_size: int
) -> DataFrame[Targets]:
    """Take a text that stands in the split: the human summary, or the initial one.

    Raises:
        MissingColumnError: an example of the subset lacks it.
    """
    subset = _subset(examples, subsets, train_size)
    require_texts(subset, [column], user=f"the pipeline finetune ({column})")
    table = subset.rename(columns={column: "target"})
    return Targets.validate(table[["example_id", "title", "post", "target"]].reset_index(drop=True))


def _subset(examples: DataFrame[Examples], subsets: DataFrame[Subsets], train_size: int) -> DataFrame[Examples]:
    members = subsets.loc[subsets["train_size"] == train_size, "example_id"]
    if members.empty:
        known = sorted(map(int, subsets["train_size"].unique()))
        raise UserError(
            f"the table subsets has no subset of {train_size} examples, only of {known}; "
            "run `kedro run --pipelines data_prep` again, with the same train_sizes"
        )
    return examples[examples["example_id"].isin(members)]
