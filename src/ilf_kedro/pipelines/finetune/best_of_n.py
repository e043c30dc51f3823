"""Best-of-N sampling: the candidates are scored by the reward model, and the best one of each post is kept."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.pipelines.reward_model.inputs import reward_model_from
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import reward_summaries
from ilf_kedro.schemas import DataFrame, Examples, Rewards, Summaries

HUMAN = "human_summary"


def reward_candidates(
    reward_base_model: LanguageModel,
    checkpoint: Checkpoint,
    options: RewardModelOptions,
    template: PromptTemplate,
    pair_template: PromptTemplate,
    candidates: DataFrame[Summaries],
    examples: DataFrame[Examples],
) -> DataFrame[Rewards]:
    """Score every candidate, and each post's human summary as one more; an empty text gets the lowest reward, 0.

    The human summaries' rows have the model "human_summary"; a post without one has no such row.
    """
    posts = examples[examples["example_id"].isin(candidates["example_id"])]
    human = posts[["example_id", "human_summary"]].dropna().rename(columns={"human_summary": "text"})
    parts: list[pd.DataFrame] = [candidates, human.assign(model=HUMAN, sample_index=0)]
    table = pd.concat([part[["example_id", "model", "sample_index", "text"]] for part in parts], ignore_index=True)
    model = reward_model_from(reward_base_model, checkpoint, options, template, pair_template)
    table["reward"] = reward_summaries(model, posts, table).fillna(0.0)
    return Rewards.validate(table[["example_id", "model", "sample_index", "reward"]])


def choose_best(candidates: DataFrame[Summaries], rewards: DataFrame[Rewards]) -> DataFrame[Summaries]:
    """Keep the candidate with the highest reward of each post; ties go to the earlier one."""
    ranked = rewards[rewards["model"] != HUMAN].sort_values(
        ["reward", "sample_index"], ascending=[False, True], kind="stable"
    )
    best = ranked.drop_duplicates("example_id").sort_index()
    chosen = best[["example_id", "sample_index"]].merge(candidates, on=["example_id", "sample_index"], how="left")
    chosen["sample_index"] = 0
    return Summaries.validate(chosen[Summaries.column_names()])
