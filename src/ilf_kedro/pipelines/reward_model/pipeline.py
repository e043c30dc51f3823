"""The pipeline reward_model: comparisons → checkpoint → predictions → accuracy."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from ilf_kedro.pipelines.reward_model import nodes
from ilf_kedro.pipelines.reward_model.inputs import REWARD_MODEL_INPUTS


def create_pipeline() -> Pipeline:
    """Create the nodes that train the reward model and evaluate it on the validation split."""
    return Pipeline(
        [
            Node(
                nodes.train_reward_model,
                [
                    "reward_base_model",
                    "comparisons.train",
                    "prompt.reward_model",
                    "prompt.reward_model_a_b",
                    "params:reward_model",
                    "params:seed",
                    "training_workspace",
                ],
                ["reward_model.checkpoint", "reward_model.training_log"],
                name="train",
                tags="training",
            ),
            Node(
                nodes.predict_preferences,
                [*REWARD_MODEL_INPUTS, "comparisons.validation", "base_model"],
                "reward_model.predictions",
                name="predict_preferences",
                tags="language_model",
            ),
            Node(
                nodes.evaluate_predictions,
                ["reward_model.predictions", "reward_model.checkpoint", "params:reward_model"],
                ["reward_model.accuracy", "reward_model.reliability", "reward_model.breakdown"],
                name="evaluate_predictions",
            ),
        ],
        namespace="reward_model",
        prefix_datasets_with_namespace=False,
        tags="reward_model",
    )
