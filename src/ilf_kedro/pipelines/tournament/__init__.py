"""Ranked candidates → every scorer's scores → which scorer to trust."""

from ilf_kedro.pipelines.tournament.pipeline import create_pipeline

__all__ = ["create_pipeline"]
