"""Compares the kinds of reward model, each trained on growing numbers of comparisons."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.reward_model.options import ComparisonOptions
from ilf_kedro.pipelines.reward_model_comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=30, options="reward_model.comparison")
def from_parameters(options: ComparisonOptions, job: MainJob) -> Pipeline | None:
    """Create the pipeline that the parameters ask for."""
    return create_pipeline(options) if job.task.has_comparisons else None
