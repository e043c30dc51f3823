"""Each arm's own kind of target on a held-out split, and what of it is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.pipelines.refinement.nodes import refine_all
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import ArmTargets, DataFrame, Examples, MissingTargets, Refinements, Selections
from ilf_kedro.schemas.names import WITH_FEEDBACK

ARM_COLUMNS = {"references": "reference", "initial_outputs": "initial_output"}


def refine_held_out(
    examples: DataFrame[Examples],
    refiner: LanguageModel,
    template: PromptTemplate,
    options: RefinementOptions,
    seed: int,
) -> DataFrame[Refinements]:
    """Refine what a held-out split has both an initial output and feedback for, as the training inputs were.

    The table is empty where the split has no feedback at all.
    """
    ready = examples[_written(examples["initial_output"]) & _written(examples["feedback"])]
    if ready.empty:
        columns = {name: pd.Series(dtype=object) for name in Refinements.column_names()}
        return Refinements.validate(pd.DataFrame(columns))
    return refine_all(ready, refiner, template, options, seed, method=WITH_FEEDBACK)


def collect_targets(
    examples: DataFrame[Examples],
    options: SelectionOptions,
    selections: DataFrame[Selections] | None = None,
    *,
    arms: Sequence[str],
    split: str,
) -> tuple[DataFrame[ArmTargets], DataFrame[MissingTargets]]:
    """Put the held-out targets of all arms into one table, and say for how many examples there are none, and why.

    The target scorer chooses among the held-out refinements as it did for training. Nothing is put in a missing
    target's place.
    """
    found, missing = [], []
    for arm in arms:
        if arm in ARM_COLUMNS:
            targets = examples.assign(target=examples[ARM_COLUMNS[arm]])
            reason = f"the split has no {ARM_COLUMNS[arm].replace('_', ' ')} of them"
        elif arm == "refinements" and selections is not None:
            chosen = selections.loc[selections["scorer"] == options.target_scorer, ["example_id", "text"]]
            targets = examples.merge(chosen.rename(columns={"text": "target"}), on="example_id", how="left")
            reason = "the split has no feedback on them, or the scorer chose no refinement with a text"
        else:
            targets = examples.assign(target=None)
            reason = "such targets are made for training inputs alone"
        written = _written(targets["target"])
        found.append(targets.loc[written, ["example_id", *Examples.input_names(examples), "target"]].assign(arm=arm))
        if not written.all():
            missing.append((arm, split, len(targets), int((~written).sum()), reason))
    return ArmTargets.validate(pd.concat(found, ignore_index=True)), MissingTargets.from_rows(missing)


def _written(texts: pd.Series) -> pd.Series:
    return texts.fillna("").astype(str).str.strip() != ""
