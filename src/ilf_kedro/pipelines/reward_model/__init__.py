"""Trains a reward model on binary comparisons and evaluates it on the validation split."""

from ilf_kedro.pipelines.reward_model.pipeline import create_pipeline

__all__ = ["create_pipeline"]
