"""Best-of-N sampling: the candidates are scored by the reward model, and the best one of each input is kept."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.pipelines.reward_model.inputs import reward_model_from
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import reward_outputs
from ilf_kedro.schemas import DataFrame, Examples, Outputs, Rewards

HUMAN = "reference"


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
    inputs = examples[examples["example_id"].isin(candidates["example_id"])]
    human = inputs[["example_id", "reference"]].dropna().rename(columns={"reference": "text"})
    parts: list[pd.DataFrame] = [candidates, human.assign(model=HUMAN, sample_index=0)]
    table = pd.concat([part[["example_id", "model", "sample_index", "text"]] for part in parts], ignore_index=True)
    model = reward_model_from(reward_base_model, checkpoint, options, template, pair_template)
    table["reward"] = reward_outputs(model, inputs, table, of_empty=0.0)
    return Rewards.validate(table[["example_id", "model", "sample_index", "reward"]])


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
