"""What a run's nodes will ask of language models is held against what the models can answer, before any request."""

from __future__ import annotations

import inspect
from functools import cache

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ilf_kedro.language_models.protocol import MissingCapabilityError, Model, TokenCounter, lacks
from ilf_kedro.pipelines.requirements import protocols, questions
from ilf_kedro.wiring.config_loader import ConfigurationError

__all__ = ["CapabilityError", "CapabilityHook"]


class CapabilityError(ConfigurationError):
    """A pipeline needs answers that a language model of the catalog cannot give."""


class CapabilityHook:
    """Refuses a run as a whole, so that no request of an earlier node is paid for in vain."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check the models that nodes take: against the protocols of their parameters, and the questions they declare.

        Questions are declared by `asks` in pipelines/requirements.py.

        Raises:
            CapabilityError: naming each user, what it needs, the model, and the backends that have it.
        """
        made_by_the_run = pipeline.all_outputs()
        load = cache(catalog.load)
        faults: list[str] = []
        for node in pipeline.nodes:
            needed = protocols(node)
            faults += [
                f"  {dataset}: {fault}"
                for dataset, protocol in needed.items()
                if dataset not in made_by_the_run and (fault := _explain(node.name, load(dataset), protocol))
            ]
            for question in questions(node):
                model = load(question.dataset) if question.dataset not in made_by_the_run else None
                if isinstance(model, Model) and question.capability not in model.capabilities:
                    error = MissingCapabilityError(question.user, question.capability, model.name)
                    faults.append(f"  {question.dataset}: {error}")
        if faults:
            raise CapabilityError("\n".join(["Nothing was run.", *dict.fromkeys(faults)]))


def _explain(node: str, model: object, protocol: type) -> str | None:
    """Say what a node needs and a model is not, or return None where the model is that."""
    if not lacks(model, protocol):
        return None
    backends = "local" if TokenCounter in protocol.__mro__ else "local or openai"
    needed = inspect.cleandoc(protocol.__doc__ or "").splitlines()[0]
    name = getattr(model, "name", type(model).__name__)
    return (
        f"the node {node} needs a {protocol.__name__} ({needed[0].lower()}{needed[1:].rstrip('.')}), which {name!r} is "
        f"not; name a model of the backend {backends} in the catalog"
    )
