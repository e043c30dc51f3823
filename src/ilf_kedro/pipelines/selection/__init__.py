"""Scores every refinement by every scorer, and lets each scorer choose."""

from ilf_kedro.pipelines.selection.pipeline import create_pipeline

__all__ = ["create_pipeline"]
