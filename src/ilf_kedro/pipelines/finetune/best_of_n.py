"""Best-of-N sampling: a reward model, a verifier or a judge scores candidates, and the best of each input is kept."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation.judging import preference_over_first
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import Capability, LanguageModel
from ilf_kedro.pipelines.requirements import asks
from ilf_kedro.pipelines.reward_model.inputs import reward_model_from
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import reward_outputs
from ilf_kedro.schemas import DataFrame, Examples, Outputs, Rewards, UserError
from ilf_kedro.scoring.verifier import verify_texts
from ilf_kedro.tasks import Task

HUMAN = "reference"
_COLUMNS = ["example_id", "model", "sample_index", "text", "raw_text"]


def reward_candidates(
    reward_base_model: LanguageModel,
    checkpoint: Checkpoint,
    options: RewardModelOptions,
    template: PromptTemplate,
    pair_template: PromptTemplate,
    candidates: DataFrame[Outputs],
    examples: DataFrame[Examples],
) -> DataFrame[Rewards]:
    """Score every candidate, and each input's reference as one more; an empty text gets the lowest reward, 0.

    The references' rows have the model "reference"; an input without one has no such row.
    """
    inputs, table = _with_references(candidates, examples)
    model = reward_model_from(reward_base_model, checkpoint, options, template, pair_template)
    return _rewards(table, reward_outputs(model, inputs, table, of_empty=0.0))


def verify_candidates(
    selection: SelectionOptions, task: Task, candidates: DataFrame[Outputs], examples: DataFrame[Examples]
) -> DataFrame[Rewards]:
    """Let the verifier score every candidate and reference, from 0 to 1; empty texts get 0.

    Raises:
        UserError: a score is outside of 0 to 1.
    """
    inputs, table = _with_references(candidates, examples)
    texts = zip(table["example_id"], table["text"], table["raw_text"], strict=True)
    scores = pd.Series(verify_texts(selection.verifier, inputs, texts, task), index=table.index, dtype=float)
    if len(outside := scores[(scores < 0) | (scores > 1)]):
        raise UserError(
            f"selection.verifier: found a score of {outside.iloc[0]:g}; to choose the best of N it must be from 0 "
            "to 1. Let the verifier return shares, or choose by another (finetune.best_of_n_by)."
        )
    return _rewards(table, scores.where(table["text"] != "", 0.0))


@asks("the judge", judge=Capability.CHOICE_PROBABILITIES)
def judge_candidates(
    judge: LanguageModel, template: PromptTemplate, candidates: DataFrame[Outputs], examples: DataFrame[Examples]
) -> DataFrame[Rewards]:
    """Ask a judge how probably each candidate, and the reference, is better than the first candidate of its input."""
    inputs, table = _with_references(candidates, examples)
    return _rewards(table, preference_over_first(judge, template, inputs, table))


def _with_references(
    candidates: DataFrame[Outputs], examples: DataFrame[Examples]
) -> tuple[DataFrame[Examples], pd.DataFrame]:
    """Return the candidates' examples, and the candidates with each reference as one more."""
    inputs = examples[examples["example_id"].isin(candidates["example_id"])]
    human = inputs[["example_id", "reference"]].dropna().rename(columns={"reference": "text"})
    parts: list[pd.DataFrame] = [candidates, human.assign(model=HUMAN, sample_index=0, raw_text=human["text"])]
    return DataFrame[Examples](inputs), pd.concat([part[_COLUMNS] for part in parts], ignore_index=True)


def _rewards(table: pd.DataFrame, rewards: pd.Series[float]) -> DataFrame[Rewards]:
    rewarded = table.assign(reward=rewards)
    return Rewards.validate(rewarded[["example_id", "model", "sample_index", "reward"]])


def choose_best(candidates: DataFrame[Outputs], rewards: DataFrame[Rewards]) -> DataFrame[Outputs]:
    """Keep the candidate with the highest reward of each input; ties go to the earlier one.

    Candidates without a reward come last.
    """
    ranked = rewards[rewards["model"] != HUMAN].sort_values(
        ["reward", "sample_index"], ascending=[False, True], kind="stable"
    )
    best = ranked.drop_duplicates("example_id").sort_index()
    chosen = best[["example_id", "sample_index"]].merge(candidates, on=["example_id", "sample_index"], how="left")
    chosen["sample_index"] = 0
    return Outputs.validate(chosen[Outputs.column_names()])
