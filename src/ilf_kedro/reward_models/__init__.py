"""Reward models: how good an output is, asked in words or read from a scalar head."""

from ilf_kedro.reward_models.asking import PairwiseRewardModel, YesNoRewardModel
from ilf_kedro.reward_models.opening import open_reward_model
from ilf_kedro.reward_models.protocol import Pair, PairRewards, RewardInput, RewardModel, RewardModelKind
from ilf_kedro.reward_models.tables import reward_outputs

__all__ = [
    "Pair",
    "PairRewards",
    "PairwiseRewardModel",
    "RewardInput",
    "RewardModel",
    "RewardModelKind",
    "YesNoRewardModel",
    "open_reward_model",
    "reward_outputs",
]
