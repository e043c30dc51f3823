"""Every two arms compared, paired: by people's rankings, a judge, rewards, pass rates, overlap and likelihood."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.contrasts.options import ContrastsOptions
from ilf_kedro.pipelines.contrasts.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=5)
def from_parameters(options: ContrastsOptions, job: MainJob) -> Pipeline | None:
    """Create the pipeline that the parameters ask for; without test inputs nothing is compared."""
    return create_pipeline(options, job) if job.task.has_test else None
