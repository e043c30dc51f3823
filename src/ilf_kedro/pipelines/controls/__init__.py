"""What the readers' words were worth: refinements by real, shuffled, model-written and no feedback."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.controls.options import ControlsOptions
from ilf_kedro.pipelines.controls.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=20)
def from_parameters(options: ControlsOptions, job: MainJob) -> Pipeline | None:
    """Create the pipeline that the parameters ask for; without feedback there is nothing to compare."""
    return create_pipeline(options.points) if job.task.has_feedback else None
