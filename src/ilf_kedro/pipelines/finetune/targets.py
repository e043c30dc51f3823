"""What each arm learns to write: one target per example of a nested subset, or the top k."""

from __future__ import annotations

import logging

import pandas as pd

from ilf_kedro.pipelines.names import CONTROL_ARMS, Arm
from ilf_kedro.pipelines.requirements import having_texts, require_texts
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting.joint_outputs import write_joint_output
from ilf_kedro.schemas import DataFrame, Examples, Outputs, Selections, Subsets, Targets, UserError
from ilf_kedro.schemas.names import WITH_FEEDBACK

logger = logging.getLogger(__name__)


def target_refinements(
    examples: DataFrame[Examples],
    subsets: DataFrame[Subsets],
    selections: DataFrame[Selections],
    options: SelectionOptions,
    *,
    train_size: int,
    arm: Arm = "refinements",
) -> DataFrame[Targets]:
    """Take the refinement that the target scorer chose: with feedback, or by the method of a control arm.

    Examples all of whose refinements are empty have nothing to imitate; they are left out and counted.

    Raises:
        UserError: the scorer chose nothing for some of the subset, because selections are of another run.
    """
    table = _chosen(examples, subsets, selections, options, train_size, arm=arm)
    return _targets(table)


def target_top_refinements(
    examples: DataFrame[Examples],
    subsets: DataFrame[Subsets],
    top: pd.DataFrame,
    options: SelectionOptions,
    *,
    train_size: int,
    top_k: int,
    arm: Arm = "refinements",
) -> DataFrame[Targets]:
    """Take the k refinements of the arm's method that the target scorer ranked highest (table selections.top_k).

    A text that stands twice among them is learned from once; empty ones are left out.

    Raises:
        UserError: the table has no k ranks, or lacks some of the subset.
    """
    if int(top["rank"].max()) < top_k:
        raise UserError(
            f"finetune.top_k is {top_k}, but the table selections.top_k has only the ranks 1 to {top['rank'].max()}; "
            f"set selection.top_k to {top_k} or more and run `kedro run --pipelines selection` again"
        )
    highest = top[top["rank"] <= top_k].drop_duplicates(["example_id", "method", "scorer", "text"])
    table = _chosen(examples, subsets, highest, options, train_size, arm=arm)
    return _targets(table)


def target_texts(
    examples: DataFrame[Examples], subsets: DataFrame[Subsets], *, column: str, train_size: int
) -> DataFrame[Targets]:
    """Take a text that stands in the split: the reference, or the initial one; examples without it are left out.

    Raises:
        MissingColumnError: no example of the subset has it.
    """
    subset = having_texts(_subset(examples, subsets, train_size), [column], user=f"the pipeline finetune ({column})")
    table = subset.rename(columns={column: "target"})
    return _targets(table)


def target_best_of_n(
    examples: DataFrame[Examples], subsets: DataFrame[Subsets], outputs: DataFrame[Outputs], *, train_size: int
) -> DataFrame[Targets]:
    """Take the base model's best-of-N output of each training input; empty ones are left out and counted."""
    subset = _subset(examples, subsets, train_size)
    best = outputs[["example_id", "text"]].rename(columns={"text": "target"})
    _require_all(subset, best["example_id"], "best-of-N outputs", "kedro run --pipelines finetune", train_size)
    table = _without_empty(subset.merge(best, on="example_id"), "best_of_n_outputs")
    return _targets(table)


def target_joint_outputs(
    examples: DataFrame[Examples],
    subsets: DataFrame[Subsets],
    selections: DataFrame[Selections],
    options: SelectionOptions,
    *,
    train_size: int,
) -> DataFrame[Targets]:
    """Take the example's feedback and the chosen refinement as one text, to be written about the initial output.

    Raises:
        UserError: as for the refinements arm; or a text contains a marker, so that it could not be taken apart.
    """
    table = _chosen(examples, subsets, selections, options, train_size, arm="feedback_and_refinement")
    targets = []
    for row in table.to_dict("records"):
        try:
            targets.append(write_joint_output(row["feedback"], row["target"]))
        except ValueError as error:
            raise UserError(f"example {row['example_id']}: {error}; leave it out of the train split") from error
    return _targets(table.assign(target=targets), "initial_output")


def target_written_refinements(
    examples: DataFrame[Examples], subsets: DataFrame[Subsets], *, train_size: int
) -> DataFrame[Targets]:
    """Take people's refinements for a refinement model: the reference, given initial output and feedback.

    They are of the last examples of the split, as many as the subset has, so that the model can refine for the
    arms that learn from the first ones without having seen their references (as in ILF for code, Chen
    et al. 2023).

    Raises:
        MissingColumnError: an example lacks one of the three.
    """
    return _written(examples.sort_values("position").tail(len(_subset(examples, subsets, train_size))))


def written_refinements(examples: DataFrame[Examples], *, n_written: int, n_refined: int) -> DataFrame[Targets]:
    """Take people's refinements of the last `n_written` examples, none of which is among the first `n_refined`.

    Raises:
        UserError: the split is too small for a refinement model that has seen none of what it refines.
        MissingColumnError: an example lacks one of the three texts.
    """
    if n_refined + n_written > len(examples):
        raise UserError(
            f"refinement.refiner is refinement_model, which learns from the last {n_written} training examples "
            f"(refinement.n_written) and refines the first {n_refined} (train_sizes, rounds.sizes), but there are only "
            f"{len(examples)}: it would have seen the references of some. Lower one of these, add examples, or set "
            "refinement.refiner to refiner"
        )
    return _written(examples.sort_values("position").tail(n_written))


def _written(last: pd.DataFrame) -> DataFrame[Targets]:
    last = Examples.validate(last)
    require_texts(last, ["initial_output", "feedback", "reference"], user="the refinement model")
    return _targets(last.rename(columns={"reference": "target"}), "initial_output", "feedback")


def _targets(table: pd.DataFrame, *shown: str) -> DataFrame[Targets]:
    """Return the table with its inputs, its targets, and what else the arm's prompt shows."""
    inputs = [name for name in Examples.input_names(table) if name != "target"]
    return Targets.validate(table[["example_id", *inputs, "target", *shown]].reset_index(drop=True))


def _chosen(
    examples: DataFrame[Examples],
    subsets: DataFrame[Subsets],
    selections: pd.DataFrame,
    options: SelectionOptions,
    train_size: int,
    *,
    arm: Arm,
) -> pd.DataFrame:
    """Return the subset's examples with the target scorer's choices as targets, without empty ones."""
    scorer = options.target_scorer
    method = CONTROL_ARMS.get(arm, WITH_FEEDBACK)
    of_scorer = selections[selections["scorer"] == scorer]
    chosen = of_scorer[of_scorer["method"] == method]
    columns = ["initial_output", "feedback"]
    subset: pd.DataFrame = having_texts(_subset(examples, subsets, train_size), columns, user=f"the arm {arm}")
    makers = "kedro run --pipelines refinement,selection"
    if arm == "refinements_model_feedback":
        subset = _with_model_feedback(subset, of_scorer, chosen)
    _require_all(subset, chosen["example_id"], f"refinements ({method}) chosen by {scorer}", makers, train_size)
    chosen = chosen[["example_id", "text"]].rename(columns={"text": "target"})
    return _without_empty(subset.merge(chosen, on="example_id"), arm)


def _with_model_feedback(subset: pd.DataFrame, selections: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Leave out, and count, the examples on which the model wrote no feedback; all others must have a choice."""
    silent = set(selections["example_id"]) - set(chosen["example_id"])
    kept = subset[~subset["example_id"].isin(silent)]
    if kept.empty:
        raise UserError(
            "the model wrote feedback on none of the examples of refinements_model_feedback; leave this arm out, or "
            "run `kedro run --pipelines refinement,selection` again"
        )
    if len(kept) < len(subset):
        logger.warning(
            "refinements_model_feedback: %d of %d examples have no feedback of the model, and are left out",
            len(subset) - len(kept),
            len(subset),
        )
    return kept


def _require_all(subset: pd.DataFrame, found: pd.Series[str], what: str, makers: str, train_size: int) -> None:
    missing = sorted(set(subset["example_id"]) - set(found))
    if missing:
        named = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise UserError(
            f"there are no {what} for {len(missing)} of the {train_size} training examples ({named}): "
            f"they are of other train sizes; run `{makers}` again, with the same train_sizes"
        )


def _without_empty(table: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Leave out rows whose target is empty, and say how many examples lose their only one."""
    kept = table[table["target"] != ""].reset_index(drop=True)
    n_before, n_left = table["example_id"].nunique(), kept["example_id"].nunique()
    if n_left < n_before:
        logger.warning(
            "%d of %d examples have no target that is not empty, and are left out of the arm %s",
            n_before - n_left,
            n_before,
            arm,
        )
    return kept


def _subset(examples: DataFrame[Examples], subsets: DataFrame[Subsets], train_size: int) -> DataFrame[Examples]:
    members = subsets.loc[subsets["train_size"] == train_size, "example_id"]
    if members.empty:
        known = sorted(map(int, subsets["train_size"].unique()))
        raise UserError(
            f"the table subsets has no subset of {train_size} examples, only of {known}; "
            "run `kedro run --pipelines data_prep` again, with the same train_sizes"
        )
    return examples[examples["example_id"].isin(members)]
