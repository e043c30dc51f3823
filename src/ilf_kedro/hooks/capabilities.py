"""What a run's nodes will ask of language models is held against what the models can answer, before any request."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ilf_kedro.config_loader import ConfigurationError
from ilf_kedro.language_models.protocol import LanguageModel, MissingCapabilityError, backends_with
from ilf_kedro.pipelines.requirements import questions

__all__ = ["CapabilityError", "CapabilityHook"]


class CapabilityError(ConfigurationError):
    """A pipeline needs answers that a language model of the catalog cannot give."""


class CapabilityHook:
    """Refuses a run as a whole, so that no request of an earlier node is paid for in vain."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check every question that the pipeline's nodes declare (`asks` in pipelines/requirements.py).

        Raises:
            CapabilityError: naming each user, the capability, the model, and the backends that have it.
        """
        faults = []
        models: dict[str, Any] = {}
        for node in pipeline.nodes:
            for question in questions(node):
                if question.dataset in pipeline.all_outputs():
                    continue  # made by the run itself
                model = models.setdefault(question.dataset, None) or catalog.load(question.dataset)
                models[question.dataset] = model
                if isinstance(model, LanguageModel) and question.capability not in model.capabilities:
                    fault = MissingCapabilityError(
                        question.user, question.capability, model.name, backends_with(question.capability)
                    )
                    faults.append(f"  {question.dataset}: {fault}")
        if faults:
            raise CapabilityError("\n".join(["Nothing was run.", *dict.fromkeys(faults)]))
