"""Writes the same records for other programs, as JSON lines: trl's formats, and OpenAI's for chat."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.export.options import ExportOptions
from ilf_kedro.pipelines.export.pipeline import create_pipeline
from ilf_kedro.pipelines.policy_arms import policy_arms

__all__ = ["create_pipeline"]


@analysis(place=80, section=False)
def from_parameters(options: ExportOptions, job: MainJob) -> Pipeline:
    """Create the pipeline that the parameters ask for."""
    arms, size = policy_arms(job.arms), max(job.train_sizes)
    return create_pipeline(arms, size, options, job.task)
