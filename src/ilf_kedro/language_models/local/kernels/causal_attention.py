"""The attention of a model in training on a CPU, forwards and backwards.

torch's own is slow, above all backwards. What the backward pass needs of the probabilities is computed again, so
that memory grows with the length and not with its square.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ilf_kedro.language_models.local.kernels.block_attention import attend, blocks, probabilities

__all__ = ["NAME", "attend_in_blocks", "causal_attention"]

NAME = "ilf_causal"

_NOT_PLAIN = ("position_bias", "softcap", "cache")


def attend_in_blocks(model: PreTrainedModel) -> None:
    """Let a model on a CPU that would attend by torch's own kernels do so by `causal_attention`."""
    if getattr(model.config, "_attn_implementation", None) == "sdpa":
        model.set_attn_implementation(NAME)


def causal_attention(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """Return softmax(scaling · q kᵀ) v, where no token sees a later one; shape (rows, heads, n, width of the values).

    `query` is (rows, heads, n, width), `key` and `value` (rows, kv_heads, n, width); consecutive heads share
    their keys and values. Equal to torch's scaled_dot_product_attention(is_causal=True) to rounding.
    """
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    with torch.autocast("cpu", enabled=False):
        sets = key.shape[0] * key.shape[1]
        grouped = (query * scaling).reshape(sets, -1, *query.shape[2:])
        attended: Tensor = _CausalAttention.apply(grouped, key.flatten(0, 1), value.flatten(0, 1))  # type: ignore[no-untyped-call]
        return attended.view(*query.shape[:3], value.shape[-1])


class _CausalAttention(torch.autograd.Function):
    """Attention of grouped queries (sets, group, n, width) to keys and values (sets, n, width)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, value)
        return attend(query, key, value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = ctx.saved_tensors
        (to_output,) = gradients
        to_query = torch.empty_like(query)
        wide = torch.promote_types(query.dtype, torch.float32)  # blocks are summed up
        to_key, to_value = torch.zeros_like(key, dtype=wide), torch.zeros_like(value, dtype=wide)
        for block, seen in blocks(query.shape[2], key.shape[1]):
            weights = probabilities(query[:, :, block], key[:, seen])
            to_attended = to_output[:, :, block].flatten(1, 2)
            to_value[:, seen] += weights.transpose(1, 2) @ to_attended
            to_scores = torch.ops.aten._softmax_backward_data(  # noqa: SLF001
                to_attended @ value[:, seen].transpose(1, 2), weights, -1, weights.dtype
            )
            to_query[:, :, block] = (to_scores @ key[:, seen]).view(to_query[:, :, block].shape)
            to_key[:, seen] += to_scores.transpose(1, 2) @ query[:, :, block].flatten(1, 2)
        return to_query, to_key.to(key.dtype), to_value.to(value.dtype)


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend in blocks where this is plain causal attention, else as transformers' sdpa does."""
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    plain = causal and attention_mask is None and dropout == 0 and query.shape[2] == key.shape[2] > 1
    if not plain or any(others.get(name) is not None for name in _NOT_PLAIN):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling=scaling, is_causal=is_causal, **others
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return causal_attention(query, key, value, scale).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
