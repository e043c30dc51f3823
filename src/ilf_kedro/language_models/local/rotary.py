"""Rotary position embeddings whose frequencies are chosen by the longest text of a call (LongRoPE, dynamic NTK).

So that a text's answer does not depend on its neighbours, only texts that choose alike may share a call.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

__all__ = ["RotaryLengths"]

_ORIGINAL = "original_inv_freq"


class RotaryLengths:
    """Knows which lengths of text get the same frequencies from a model; all do in most models."""

    def __init__(self, model: PreTrainedModel | PeftModel) -> None:
        config = model.config.get_text_config(decoder=True)
        parameters = getattr(config, "rope_parameters", None) or {}
        nested = [each for each in parameters.values() if isinstance(each, dict)] or [parameters]
        longest = getattr(config, "max_position_embeddings", None)
        self._long = sorted(
            {
                int(each.get("original_max_position_embeddings") or config.original_max_position_embeddings)
                for each in nested
                if each.get("rope_type") == "longrope"
            }
        )
        self._dynamic = longest if any(each.get("rope_type") == "dynamic" for each in nested) else None
        self._modules = [m for m in model.modules() if hasattr(m, "max_seq_len_cached")] if self._dynamic else []

    @property
    def matter(self) -> bool:
        """Whether there are texts that may not share a call."""
        return bool(self._long) or self._dynamic is not None

    def choice(self, length: int) -> Hashable:
        """Return what the model chooses for a text of so many tokens: equal choices, equal frequencies."""
        return tuple(length > each for each in self._long), self._dynamic is not None and max(length, self._dynamic)

    def alike(self, lengths: Sequence[int], n_more: int = 0) -> bool:
        """Tell whether all lengths, and up to `n_more` tokens beyond each, get the same frequencies."""
        if not self.matter:
            return True
        return len({self.choice(length + more) for length in lengths for more in (0, n_more)}) == 1

    def groups(self, lengths: Sequence[int]) -> list[list[int]]:
        """Return the places of the lengths, those together that get the same frequencies."""
        if not self.matter:
            return [list(range(len(lengths)))]
        found: dict[Hashable, list[int]] = {}
        for place, length in enumerate(lengths):
            found.setdefault(self.choice(length), []).append(place)
        return list(found.values())

    def reset(self) -> None:
        """Let the model forget the longest text that it has seen, so that the next call chooses by its own."""
        for module in self._modules:
            _reset(module)


def _reset(module: nn.Module) -> None:
    original: Any = module.original_max_seq_len
    for name in [name for name in vars(module) if name.endswith("max_seq_len_cached")]:
        setattr(module, name, original)
    for name, original in list(module.named_buffers(recurse=False)):
        if name.endswith(_ORIGINAL):
            module.register_buffer(name.replace(_ORIGINAL, "inv_freq"), original.clone(), persistent=False)
