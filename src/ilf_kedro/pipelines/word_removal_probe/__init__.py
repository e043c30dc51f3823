"""The paper's probe of language models: remove the words that the feedback names."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.analyses import MainJob, analysis
from ilf_kedro.pipelines.word_removal.options import WordRemovalProbeOptions
from ilf_kedro.pipelines.word_removal_probe.pipeline import create_pipeline

__all__ = ["create_pipeline"]


@analysis(place=70)
def from_parameters(options: WordRemovalProbeOptions, _job: MainJob) -> Pipeline:
    """Create the pipeline that the parameters ask for."""
    return create_pipeline(options.models)
