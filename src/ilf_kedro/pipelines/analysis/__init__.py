"""What finetuning did to each model: likelihoods of its own kind of target, and divergences from the base model."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.analysis.options import AnalysisOptions
from ilf_kedro.pipelines.analysis.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=60)
def from_parameters(options: AnalysisOptions, job: MainJob) -> Pipeline | None:
    """Create the pipeline that the parameters ask for; divergences are of test inputs."""
    if not job.task.has_test or not job.arms:
        return None
    return create_pipeline(job.arms, job.train_sizes, options.split, job.source.scorers)
