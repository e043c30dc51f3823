"""Tries the same list of training options for every arm, and chooses each arm's on the development split."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.sweep.options import SweepOptions
from ilf_kedro.pipelines.sweep.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=40)
def from_parameters(options: SweepOptions, job: MainJob) -> Pipeline | None:
    """Create the pipeline that the parameters ask for; settings are chosen by references."""
    if not job.task.has_references:
        return None
    return create_pipeline(options.arms or job.arms, options.train_size or min(job.train_sizes), job.source)
