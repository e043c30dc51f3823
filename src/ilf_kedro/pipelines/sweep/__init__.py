"""Tries the same list of training options for every arm, and chooses each arm's on the development split."""

from ilf_kedro.pipelines.sweep.pipeline import create_pipeline

__all__ = ["create_pipeline"]
