"""Writes the same records for other programs, as JSON lines: trl's formats, and OpenAI's for chat."""

from ilf_kedro.pipelines.export.pipeline import create_pipeline

__all__ = ["create_pipeline"]
