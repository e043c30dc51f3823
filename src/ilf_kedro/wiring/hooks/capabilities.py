"""What a run's nodes will ask of language models is held against what the models can answer, before any request."""

from __future__ import annotations

from functools import cache

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ilf_kedro.language_models.protocol import MissingCapabilityError, Model
from ilf_kedro.pipelines.requirements import questions
from ilf_kedro.wiring.config_loader import ConfigurationError

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
        made_by_the_run = pipeline.all_outputs()
        load = cache(catalog.load)
        faults = []
        for question in (question for node in pipeline.nodes for question in questions(node)):
            if question.dataset in made_by_the_run:
                continue
            model = load(question.dataset)
            if isinstance(model, Model) and question.capability not in model.capabilities:
                fault = MissingCapabilityError(question.user, question.capability, model.name)
                faults.append(f"  {question.dataset}: {fault}")
        if faults:
            raise CapabilityError("\n".join(["Nothing was run.", *dict.fromkeys(faults)]))
