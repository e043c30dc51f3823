"""What the readers' words were worth: refinements by real, shuffled, model-written and no feedback."""

from ilf_kedro.pipelines.controls.pipeline import create_pipeline

__all__ = ["create_pipeline"]
