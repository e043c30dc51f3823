"""The paper's probe of language models: remove the words that the feedback names."""

from ilf_kedro.pipelines.word_removal_probe.pipeline import create_pipeline

__all__ = ["create_pipeline"]
