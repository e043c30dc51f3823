"""Ranked candidates → every scorer's scores → which scorer to trust."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.tournament.options import TournamentOptions
from ilf_kedro.pipelines.tournament.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=10)
def from_parameters(options: TournamentOptions, job: MainJob) -> Pipeline | None:
    """Create the pipeline that the parameters ask for; without feedback there is nothing to rank."""
    able = options.that_can_run(job.task)
    return create_pipeline(able) if job.task.has_feedback else None
