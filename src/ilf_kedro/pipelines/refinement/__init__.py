"""N refinements of every initial output, with the feedback and, as a control, without it."""

from ilf_kedro.pipelines.refinement.pipeline import create_pipeline

__all__ = ["create_pipeline"]
