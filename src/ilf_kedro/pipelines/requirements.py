"""What a pipeline asks of a split and of its language models, and the message when a split lacks it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, get_type_hints

from kedro.pipeline.node import Node

from ilf_kedro.language_models.protocol import Capability, is_model_protocol
from ilf_kedro.schemas import DataFrame, Examples, UserError

logger = logging.getLogger(__name__)

_Function = TypeVar("_Function", bound=Callable[..., Any])
_MARK = "__asked_capabilities__"


class MissingColumnError(UserError):
    """A split lacks texts that a pipeline needs."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a node will ask of one of its language models; `dataset` is the model's name in the catalog."""

    user: str
    dataset: str
    capability: Capability


def asks(user: str, **models: Capability) -> Callable[[_Function], _Function]:
    """Declare what a node function asks of the language models among its parameters.

    A whole run is then refused before its first request where a backend lacks it (hooks/capabilities.py).
    `user` names in messages who needs it, such as "the scorer InstructRM".
    """

    def mark(function: _Function) -> _Function:
        setattr(function, _MARK, (user, models))
        return function

    return mark


def questions(node: Node) -> list[Question]:
    """Return what a node's function was declared to ask, with its parameters' names in the catalog."""
    user, models = getattr(node.func, _MARK, ("", {}))
    given = _given(node) if models else {}
    return [Question(user, given[parameter], capability) for parameter, capability in models.items()]


def protocols(node: Node) -> dict[str, type]:
    """Return the protocol of each model that a node takes, by the model's name in the catalog."""
    hints = get_type_hints(inspect.unwrap(_without_partial(node.func)))
    named = {parameter: hint for parameter, hint in hints.items() if is_model_protocol(hint)}
    return {dataset: named[parameter] for parameter, dataset in _given(node).items() if parameter in named}


def _given(node: Node) -> Mapping[str, str]:
    """Return the catalog's name of each parameter that a node passes to its function."""
    if isinstance(node._inputs, dict):  # noqa: SLF001  # node.inputs has lost the parameters' names
        return node._inputs  # noqa: SLF001
    return inspect.signature(node.func).bind_partial(*node.inputs).arguments


def _without_partial(function: Callable[..., Any]) -> Callable[..., Any]:
    return _without_partial(function.func) if isinstance(function, partial) else function


def project_words(slots: Sequence[str]) -> list[str]:
    """Return the slots that are the project's words, which an example may lack; inputs were checked by data_prep."""
    return [slot for slot in slots if slot in ("initial_output", "feedback", "reference")]


def having_texts(examples: DataFrame[Examples], columns: Sequence[str], *, user: str) -> DataFrame[Examples]:
    """Return the examples that have a text in each of `columns`; how many are left out is logged.

    Raises:
        MissingColumnError: none has, though there are examples.
    """
    there = (examples[list(columns)].fillna("") != "").all(axis=1)
    if there.all():
        return examples
    if not there.any():
        require_texts(examples, columns, user=user)
    lacking = int((~there).sum())
    logger.info("%s: %d of %d examples lack %s, and are left out", user, lacking, len(examples), " or ".join(columns))
    return Examples.validate(examples[there])


def require_texts(examples: DataFrame[Examples], columns: Sequence[str], *, user: str) -> None:
    """Check that every example has a text in each of `columns`.

    Raises:
        MissingColumnError: naming the split, each column that has gaps, and the first examples that do; or a column
            that no split has, which a prompt's slot named.
    """
    if unknown := [column for column in columns if column not in examples]:
        raise MissingColumnError(
            f"{user} asks for {', '.join(unknown)}, which examples do not have; a slot of its prompt is one of "
            f"{', '.join(sorted(set(map(str, examples)) - {'example_id', 'split'}))}"
        )
    faults = []
    for column in columns:
        gaps = examples[examples[column].isna() | (examples[column].fillna("").str.strip() == "")]
        if len(gaps):
            names = ", ".join(gaps["example_id"].head(5)) + (" …" if len(gaps) > 5 else "")
            faults.append(f"{column}: missing in {len(gaps)} of {len(examples)} examples ({names})")
    if faults:
        split = ", ".join(sorted(examples["split"].unique()))
        raise MissingColumnError(
            f"{user} needs texts that the split {split!r} lacks:\n  "
            + "\n  ".join(faults)
            + "\nAdd them to the split's file (task.columns says where they are looked for), leave these examples out "
            "of it, or lower train_sizes."
        )
