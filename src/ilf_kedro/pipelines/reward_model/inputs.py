"""The reward model as an input of nodes: the data sets that they name, and how they put it together."""

from __future__ import annotations

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import RewardModel, open_reward_model

__all__ = ["REWARD_MODEL_INPUTS", "reward_model_from"]

REWARD_MODEL_INPUTS = (
    "reward_base_model",
    "reward_model.checkpoint",
    "params:reward_model",
    "prompt.reward_model",
    "prompt.reward_model_a_b",
)
"""What `reward_model_from` takes, in its order."""


def reward_model_from(
    reward_base_model: LanguageModel,
    checkpoint: Checkpoint,
    options: RewardModelOptions,
    template: PromptTemplate,
    pair_template: PromptTemplate,
) -> RewardModel:
    """Return the reward model of the parameters; the kind a_b reads the pair template, the others `template`.

    Raises:
        UserError: language model, checkpoint or prompt do not fit the kind.
    """
    chosen = pair_template if options.kind == "a_b" else template
    return open_reward_model(options.kind, reward_base_model, chosen, checkpoint)
