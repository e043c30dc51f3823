"""Rounds of feedback, refinement and finetuning, each beside one round of the same total size."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.rounds.options import RoundsOptions
from ilf_kedro.pipelines.rounds.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=50)
def from_parameters(options: RoundsOptions, job: MainJob) -> Pipeline | None:
    """Create the pipeline that the parameters ask for; it compares with the test split's references."""
    able = job.task.has_feedback and job.task.has_references and job.task.has_test
    verified = "verifier" in job.task.output.metrics
    return create_pipeline(options, job.source.scorers, verified=verified) if able else None
