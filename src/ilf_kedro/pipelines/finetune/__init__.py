"""Finetunes the base model on every arm's targets at every train size, and samples test outputs."""

from ilf_kedro.pipelines.finetune.pipeline import create_pipeline, model_names, sections

__all__ = ["create_pipeline", "model_names", "sections"]
