"""The scorer that asks a reward model, trained on people's comparisons, how good a refinement is."""

from __future__ import annotations

from ilf_kedro.reward_models import RewardModel, reward_outputs
from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.tables import score_table

SCORER = "reward_model"


@scorer(SCORER)
def reward_model_scores(
    refinements: DataFrame[Refinements], examples: DataFrame[Examples], reward_model: RewardModel
) -> DataFrame[Scores]:
    """Score each refinement by its reward as an output of the input, between 0 and 1; the feedback is not seen.

    Empty refinements are not asked about; their scores are null. In a pipeline the reward model comes from
    `reward_model_from`, given the data sets REWARD_MODEL_INPUTS (pipelines/reward_model/inputs.py).
    """
    rewards = reward_outputs(reward_model, examples, refinements, label="rewards of refinements")
    return score_table(refinements, SCORER, list(rewards))
