"""Compares the models, judges them by a language model, and writes figures and one HTML report."""

from ilf_kedro.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
