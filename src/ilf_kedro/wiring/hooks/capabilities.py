"""What a run's nodes will ask of language models is held against what the models can answer, before any request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline

from ilf_kedro.language_models.protocol import Capability, MissingCapabilityError, Model, TokenCounter, lacks
from ilf_kedro.pipelines.requirements import protocols, questions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import UserError
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
            CapabilityError: naming each model that cannot be loaded; or each user, what it needs, the model, and the
                backends that have it.
        """
        made_by_the_run = pipeline.all_outputs()
        unreadable: dict[str, list[str]] = {}
        faults: list[str] = []

        @cache
        def load(dataset: str) -> object:
            try:
                return None if dataset in made_by_the_run else catalog.load(dataset)
            except DatasetError as error:
                if (fault := _fault_of_user(error)) is None:
                    raise
                unreadable.setdefault(str(fault), []).append(dataset)
                return None

        for node in pipeline.nodes:
            needed = protocols(node)
            faults += [
                f"  {dataset}: {fault}"
                for dataset, protocol in needed.items()
                if (fault := _explain(node.name, load(dataset), protocol))
            ]
            for question in questions(node):
                model = load(question.dataset)
                if isinstance(model, Model) and question.capability not in model.capabilities:
                    error = MissingCapabilityError(question.user, question.capability, model.name)
                    faults.append(f"  {question.dataset}: {error}")
            faults += _prompt_faults(node, load, catalog)
        faults += [f"  {', '.join(sorted(datasets))}: {said}" for said, datasets in unreadable.items()]
        if faults:
            raise CapabilityError("\n".join(["Nothing was run.", *dict.fromkeys(faults)]))


def _prompt_faults(node: Node, load: Callable[[str], object], catalog: DataCatalog) -> Iterator[str]:
    """Yield each model of a node that is asked by a prompt of several messages, and takes one text alone."""
    prompts = [name for name in node.inputs if name.startswith("prompt.") and _has_messages(name, catalog)]
    for dataset in protocols(node) if prompts else ():
        model = load(dataset)
        if isinstance(model, Model) and Capability.MESSAGES not in model.capabilities:
            user = f"{', '.join(prompts)}, with messages in place of one text,"
            yield f"  {dataset}: {MissingCapabilityError(user, Capability.MESSAGES, model.name)}"


def _has_messages(prompt: str, catalog: DataCatalog) -> bool:
    try:
        template = catalog.load(prompt)
    except DatasetError:  # hooks/prompts.py names it, with all others
        return False
    return isinstance(template, PromptTemplate) and bool(template.messages)


def _fault_of_user(error: BaseException | None) -> UserError | None:
    """Return what a user can mend among an error's causes, which Kedro wraps."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error


def _explain(node: str, model: object, protocol: type) -> str | None:
    """Say what a node needs and a model is not, or return None where the model is that, or is not there."""
    if model is None or not lacks(model, protocol):
        return None
    backends = "local" if TokenCounter in protocol.__mro__ else "local or openai"
    needed = inspect.cleandoc(protocol.__doc__ or "").splitlines()[0]
    name = getattr(model, "name", type(model).__name__)
    return (
        f"the node {node} needs a {protocol.__name__} ({needed[0].lower()}{needed[1:].rstrip('.')}), which {name!r} is "
        f"not; name a model of the backend {backends} in the catalog"
    )
