"""Raw files to validated splits, nested training subsets and text statistics."""

from ilf_kedro.pipelines.data_prep.pipeline import create_pipeline

__all__ = ["create_pipeline"]
