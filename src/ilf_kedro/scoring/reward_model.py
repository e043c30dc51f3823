"""The scorer that asks a reward model, trained on people's comparisons, how good a refinement is."""

from __future__ import annotations

from ilf_kedro.reward_models.asking import RewardModel, SummaryToScore
from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores, text_or_empty
from ilf_kedro.scoring.tables import score_table

SCORER = "reward_model"


def reward_model_scores(
    reward_model: RewardModel, examples: DataFrame[Examples], refinements: DataFrame[Refinements]
) -> DataFrame[Scores]:
    """Score each refinement by its reward as a summary of the post, between 0 and 1; the feedback is not seen.

    Empty refinements are not asked about; their scores are null. In a pipeline the reward model comes from
    `reward_model_from`, given the data sets REWARD_MODEL_INPUTS (pipelines/reward_model/inputs.py).
    """
    by_id = examples.set_index("example_id")
    scores: list[float | None] = [None] * len(refinements)
    written = [place for place, text in enumerate(refinements["text"]) if text != ""]
    asked = []
    for place in written:
        row = refinements.iloc[place]
        example = by_id.loc[row["example_id"]]
        asked.append(SummaryToScore(row["example_id"], text_or_empty(example["title"]), example["post"], row["text"]))
    for place, reward in zip(written, reward_model.rewards(asked, label="rewards of refinements"), strict=True):
        scores[place] = reward
    return score_table(refinements, SCORER, scores)
