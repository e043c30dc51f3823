"""What finetuning did to each model: likelihoods of its own kind of target, and divergences from the base model."""

from ilf_kedro.pipelines.analysis.pipeline import create_pipeline

__all__ = ["create_pipeline"]
