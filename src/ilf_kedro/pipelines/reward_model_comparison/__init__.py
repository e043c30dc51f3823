"""Compares the kinds of reward model, each trained on growing numbers of comparisons."""

from ilf_kedro.pipelines.reward_model_comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
