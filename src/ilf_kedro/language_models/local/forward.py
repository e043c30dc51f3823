"""A model's own forward pass in two halves: its states, and the logits of only those states that are asked for."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ilf_kedro.language_models.local.rotary import RotaryLengths

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Forward", "WholeForward"]


class Forward:
    """Computes what a model's own forward pass does, without logits that nobody wants.

    The first module that the pass calls is its *trunk*. All that the model does with the trunk's states, the head
    and whatever scales or caps the logits behind it, is done by the model's own code: its pass is run again
    with the wanted states in the place of the trunk's.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.lengths = RotaryLengths(model)
        self._trunk, self._output = _first_call(model)
        self._positioned = "position_ids" in inspect.signature(self._trunk.forward).parameters

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = self.model.device
        return device

    def states(self, **inputs: Any) -> Tensor:
        """Return the trunk's last hidden states (rows, n, width)."""
        self.lengths.reset()
        return _states(self._trunk(**inputs, use_cache=False))

    def advance(self, tokens: Tensor, cache: Any, n_before: int) -> tuple[Tensor, Any]:
        """Append tokens (rows, n) to the `n_before` of a cache (None: none); return their states, and the cache.

        Raises:
            AttributeError: the model keeps no cache that its callers see.
        """
        self.lengths.reset()
        name = "past_key_values" if hasattr(self._output, "past_key_values") else "cache_params"
        inputs = {"input_ids": tokens, name: cache}
        if self._positioned:  # not every model counts what its cache holds
            inputs["position_ids"] = torch.arange(n_before, n_before + tokens.shape[1], device=tokens.device)[None]
        output = self._trunk(**inputs, use_cache=True)
        return _states(output), getattr(output, name)

    def logits(self, states: Tensor) -> Tensor:
        """Return the fp32 logits (n, vocabulary) that the model makes of states (n, width)."""
        given = _with_states(self._output, states[None])
        ids = torch.zeros(1, len(states), dtype=torch.long, device=states.device)
        self._trunk.forward = lambda *_, **__: given  # hides the class's own
        try:
            logits: Tensor = self.model(input_ids=ids, use_cache=False).logits
        finally:
            del self._trunk.forward
        return logits[0].float()


class WholeForward(Forward):
    """The pass of a model that does not come in two halves: its logits stand for its states."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.lengths = RotaryLengths(model)

    def states(self, **inputs: Any) -> Tensor:
        """Return the logits of all tokens, (rows, n, vocabulary)."""
        self.lengths.reset()
        logits: Tensor = self.model(**inputs, use_cache=False).logits
        return logits

    def logits(self, states: Tensor) -> Tensor:
        """Return the same, in fp32."""
        return states.float()


class _Seen(Exception):  # noqa: N818  # no fault: it ends a pass of which enough is known
    def __init__(self, what: Any) -> None:
        self.what = what


@torch.inference_mode()
def _first_call(model: PreTrainedModel) -> tuple[Any, Any]:
    """Return the module that a model's forward pass calls first, and what that gives for two tokens."""

    def begins(module: nn.Module, _: object) -> None:
        raise _Seen(module)

    def ends(_: nn.Module, __: object, output: Any) -> None:
        raise _Seen(output)

    inside = [module for module in model.modules() if module is not model]
    trunk = _watch(model, [module.register_forward_pre_hook(begins) for module in inside])
    return trunk, _watch(model, [trunk.register_forward_hook(ends)])


def _watch(model: PreTrainedModel, hooks: Sequence[RemovableHandle]) -> Any:
    """Run a model on two tokens until a hook has seen something, and return it."""
    try:
        model(input_ids=torch.ones(1, 2, dtype=torch.long, device=model.device), use_cache=False)
    except _Seen as seen:
        return seen.what
    finally:
        for hook in hooks:
            hook.remove()
    raise RuntimeError("its forward pass calls no module")


def _states(output: Any) -> Tensor:
    states: Tensor = output if isinstance(output, Tensor) else output[0]
    return states


def _with_states(output: Any, states: Tensor) -> Any:
    """Return a copy of a trunk's output with other states in it."""
    if isinstance(output, Tensor):
        return states
    if isinstance(output, Sequence):
        return (states, *output[1:])
    output = copy.copy(output)
    output[next(iter(output))] = states
    return output
