"""One attention function under which tokens of one row see only their own branch of a prefix tree.

It is registered with transformers' attention interface and used by every layer in place of the model's
own; a *plan*, handed down with each forward pass, says which keys and values each query sees. Where a
4-D mask would compute scores of every pair and throw most away, a plan computes only what is seen.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from ilf_kedro.language_models.local.kernels.block_attention import attend
from ilf_kedro.language_models.local.kernels.packing import Packing

NAME = "ilf_tree"

# What some architectures hand to their attention, and this one does not compute.
_UNSUPPORTED = ("sliding_window", "softcap", "s_aux", "position_bias", "head_mask")


class UnsupportedAttentionError(RuntimeError):
    """The architecture asks something of its attention that a plan cannot do."""


class AttentionPlan(Protocol):
    """Which keys and values each query of a forward pass sees."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend in one layer: (heads, n, d) queries, (kv_heads, n, d) keys and values to (n, heads, d)."""
        ...


def tree_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    tree_plan: AttentionPlan | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend as the plan says; the signature is that of transformers' attention interface.

    Raises:
        UnsupportedAttentionError: no plan reached this layer, or the architecture wants more than a plan does.
    """
    if extra := [name for name in _UNSUPPORTED if others.get(name) is not None]:
        raise UnsupportedAttentionError(f"{type(module).__name__} uses {', '.join(extra)}")
    layer = getattr(module, "layer_idx", None)
    if tree_plan is None or layer is None or attention_mask is not None or query.shape[0] != 1:
        raise UnsupportedAttentionError(f"{type(module).__name__} does not hand the plan to its attention")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return tree_plan.attend(layer, query[0], key[0], value[0], scale)[None].contiguous(), None


AttentionInterface.register(NAME, tree_attention)


class PackedAttention:
    """Each token of a packing sees its own branch up to itself.

    With `keep`, `keys` and `values` hold each layer's (kv_heads, n, d) afterwards.
    """

    def __init__(self, packing: Packing, device: torch.device, *, keep: bool = False) -> None:
        self._keep = keep
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self._masks: dict[tuple[int, int], Tensor] = {}
        self._segments: list[tuple[int, int, int, slice | Tensor]] = []
        for segment in packing.segments:
            prefix: slice | Tensor = torch.from_numpy(segment.prefix).to(device)
            depth = len(segment.prefix)
            if depth and segment.prefix[-1] - segment.prefix[0] == depth - 1:  # a slice needs no copy
                prefix = slice(int(segment.prefix[0]), int(segment.prefix[-1]) + 1)
            self._segments.append((segment.start, segment.end, depth, prefix))

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend segment by segment; see AttentionPlan."""
        if self._keep:
            self.keys[layer], self.values[layer] = key, value
        output = torch.empty_like(query)
        for start, end, depth, prefix in self._segments:
            seen_keys, seen_values = (_seen(states, start, end, depth, prefix) for states in (key, value))
            if query.device.type == "cpu":
                scaled = query[:, start:end] * scaling
                grouped = scaled.view(key.shape[0], -1, *scaled.shape[1:])
                output[:, start:end] = attend(grouped, seen_keys, seen_values).flatten(0, 1)
            else:
                output[:, start:end] = self._attend_by_torch(
                    query[:, start:end], seen_keys, seen_values, depth, scaling
                )
        return output.transpose(0, 1)

    def _attend_by_torch(self, query: Tensor, key: Tensor, value: Tensor, depth: int, scaling: float) -> Tensor:
        """Attend with the queries of one segment by torch's kernel for this device."""
        group = query.shape[0] // key.shape[0]
        if group > 1:
            key, value = (states.repeat_interleave(group, dim=0) for states in (key, value))
        attended: Tensor = scaled_dot_product_attention(
            query[None],
            key[None],
            value[None],
            attn_mask=self._mask(query.shape[1], depth, query),
            is_causal=depth == 0,
            scale=scaling,
        )
        return attended[0]

    def _mask(self, n: int, depth: int, like: Tensor) -> Tensor | None:
        """Return the additive mask of n tokens after `depth` others; None where none is needed."""
        if depth == 0 or n == 1:
            return None
        if (n, depth) not in self._masks:
            hidden = torch.full((n, depth + n), -torch.inf, dtype=like.dtype, device=like.device)
            self._masks[n, depth] = hidden.triu(depth + 1)
        return self._masks[n, depth]


def _seen(states: Tensor, start: int, end: int, depth: int, prefix: slice | Tensor) -> Tensor:
    """Return the (kv_heads, depth + n, d) states that a segment sees."""
    if depth == 0:
        return states[:, start:end]
    if isinstance(prefix, slice) and prefix.stop == start:
        return states[:, prefix.start : end]
    return torch.cat([states[:, prefix], states[:, start:end]], dim=1)


class DecodingAttention:
    """Samples that share their prompts' keys and values, and keep only their own continuations'.

    The B prompts × N samples are *slots*; the forward pass has one query per unfinished sample (a *row*),
    and rows are spread over slots. The prompt part is one product per prompt for all its samples, the own
    part one per sample; the two are merged by their log-sum-exps (exact softmax over both).

    Raises:
        UnsupportedAttentionError: the model has no layer of attention.
    """

    def __init__(self, prefill: PackedAttention, paths: list[Tensor], n_samples: int, max_tokens: int) -> None:
        lengths = [len(path) for path in paths]
        longest = max(lengths)
        if not prefill.keys:
            raise UnsupportedAttentionError("it has no attention")
        device = paths[0].device
        index = torch.stack([torch.nn.functional.pad(path, (0, longest - len(path))) for path in paths])
        self._lengths = torch.tensor(lengths, device=device)
        self._prompt_states = {
            layer: (_by_prompt(key, index), _by_prompt(prefill.values[layer], index))
            for layer, key in prefill.keys.items()
        }
        self._n_samples, self._max_tokens = n_samples, max_tokens
        self._own_states: dict[int, tuple[Tensor, Tensor]] = {}
        self._slots = torch.arange(len(paths) * n_samples, device=device)  # of each row
        self._spread: Tensor | None = None  # row of each slot, where some slots are empty
        self._n_own = 0
        self._mask = self._prompt_mask()

    @property
    def positions(self) -> Tensor:
        """The position of each row's next token, shape (rows,)."""
        return self._lengths[self._slots // self._n_samples] + self._n_own

    def advance(self) -> None:
        """Count the token that the last forward pass added to every row."""
        self._n_own += 1

    def keep(self, rows: Tensor) -> None:
        """Go on with the given rows alone; storage shrinks once half of its slots are empty."""
        self._slots = self._slots[rows]
        if 2 * len(self._slots) <= len(self._lengths) * self._n_samples:
            self._compact()
        n_slots = len(self._lengths) * self._n_samples
        self._spread = None
        if len(self._slots) < n_slots:
            self._spread = torch.zeros(n_slots, dtype=torch.long, device=rows.device)
            self._spread[self._slots] = torch.arange(len(self._slots), device=rows.device)

    def _compact(self) -> None:
        prompts, inverse, counts = torch.unique(self._slots // self._n_samples, return_inverse=True, return_counts=True)
        n_samples = int(counts.max())
        place = torch.arange(len(inverse), device=inverse.device) - (counts.cumsum(0) - counts)[inverse]
        slots = inverse * n_samples + place
        source = torch.zeros(len(prompts) * n_samples, dtype=torch.long, device=slots.device)
        source[slots] = self._slots
        for layer, states in self._own_states.items():
            self._own_states[layer] = (states[0][source], states[1][source])
        if len(prompts) < len(self._lengths):
            for layer, states in self._prompt_states.items():
                self._prompt_states[layer] = (states[0][prompts], states[1][prompts])
            self._lengths = self._lengths[prompts]
        self._slots, self._n_samples = slots, n_samples
        self._mask = self._prompt_mask()

    def _prompt_mask(self) -> Tensor | None:
        """Return what hides the padding of shorter prompts, (B, 1, 1, longest); None where all are equal."""
        longest = next(iter(self._prompt_states.values()))[0].shape[2]
        if bool((self._lengths == longest).all()):
            return None
        padding = torch.arange(longest, device=self._lengths.device) >= self._lengths[:, None]
        return torch.zeros(padding.shape, device=padding.device).masked_fill(padding, -torch.inf)[:, None, None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        """Attend with one token per row; see AttentionPlan."""
        query = query * scaling
        if self._spread is not None:
            query, key, value = query[:, self._spread], key[:, self._spread], value[:, self._spread]
        heads, n_slots, width = query.shape
        kv_heads = key.shape[0]
        group, n_prompts, n_samples = heads // kv_heads, len(self._lengths), self._n_samples
        own = self._store(layer, key, value)
        by_prompt = query.view(kv_heads, group, n_prompts, n_samples, width).permute(2, 0, 1, 3, 4)
        prompt_out, prompt_weight = _attend(
            by_prompt.reshape(n_prompts, kv_heads, group * n_samples, width), *self._prompt_states[layer], self._mask
        )
        by_slot = query.view(kv_heads, group, n_slots, width).permute(2, 0, 1, 3)
        own_out, own_weight = _attend(by_slot, *own, None)
        shape = (n_prompts, kv_heads, group, n_samples, -1)
        prompt_out, prompt_weight = (
            part.view(shape).permute(0, 3, 1, 2, 4).reshape(n_slots, kv_heads, group, -1)
            for part in (prompt_out, prompt_weight)
        )
        share = torch.sigmoid(prompt_weight - own_weight)
        output = torch.lerp(own_out, prompt_out, share.to(own_out.dtype)).reshape(n_slots, heads, width)
        return output if self._spread is None else output[self._slots]

    def _store(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new keys and values to the samples' own, and return these: (slots, kv_heads, tokens, d)."""
        if layer not in self._own_states:
            shape = (key.shape[1], key.shape[0], self._max_tokens, key.shape[2])
            self._own_states[layer] = (key.new_zeros(shape), value.new_zeros(shape))
        states = self._own_states[layer]
        for storage, new in zip(states, (key, value), strict=True):
            storage[:, :, self._n_own] = new.transpose(0, 1)
        return states[0][:, :, : self._n_own + 1], states[1][:, :, : self._n_own + 1]


def _by_prompt(states: Tensor, index: Tensor) -> Tensor:
    """Gather (kv_heads, n, d) states of a row as (prompts, kv_heads, longest, d)."""
    return states[:, index].transpose(0, 1).contiguous()


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return softmax(q kᵀ) v of scaled queries, and the log-sum-exp of the scores (..., n, 1) in fp32."""
    scores = (query @ key.transpose(-1, -2)).float()
    if mask is not None:
        scores = scores + mask
    total = scores.logsumexp(-1, keepdim=True)
    return (scores - total).exp().to(value.dtype) @ value, total
