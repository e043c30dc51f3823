"""Rounds of feedback, refinement and finetuning, each beside one round of the same total size."""

from ilf_kedro.pipelines.rounds.pipeline import create_pipeline

__all__ = ["create_pipeline"]
