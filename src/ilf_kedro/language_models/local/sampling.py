"""Drawing the next token: greedy, temperature, top-k and top-p, with one random stream per sample."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ilf_kedro.language_models.protocol import SamplingOptions

_LARGEST = 1 - 2**-23  # the largest uniform that stays below 1 as float32
_MAX_TRIES = 16


def random_stream(seed: int, example_id: str, sample_index: int) -> np.random.Generator:
    """Return the sample's own random numbers, which depend on these three alone (counter-based Philox)."""
    digest = hashlib.sha256(f"{seed}\0{sample_index}\0{example_id}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def sample_tokens(
    logits: Tensor, options: SamplingOptions, streams: Sequence[np.random.Generator]
) -> tuple[Tensor, Tensor]:
    """Draw one token per row of fp32 logits (n, vocabulary), each from its own stream.

    Returns tokens (n,) and their log-probabilities (n,) under the unchanged logits. Temperature, then top-k,
    then top-p, as Hugging Face and OpenAI define them; tokens of equal probability at an edge all stay.
    """
    total = logits.logsumexp(-1)
    if options.temperature == 0:
        tokens = logits.argmax(-1)
    else:
        scaled = logits if options.temperature == 1 else logits / options.temperature
        if 0 < options.top_k < logits.shape[-1]:
            least = scaled.topk(options.top_k, dim=-1).values[:, -1:]
            scaled = scaled.masked_fill(scaled < least, -torch.inf)
        tokens = _draw(scaled.softmax(-1), options.top_p, streams)
    return tokens, logits.gather(-1, tokens[:, None])[:, 0] - total


def _draw(probabilities: Tensor, top_p: float, streams: Sequence[np.random.Generator]) -> Tensor:
    """Draw from the nucleus by rejection: no sort of the vocabulary is needed.

    A token belongs to the nucleus where the tokens more probable than it sum to less than top_p. Drawing
    from the whole distribution until one belongs gives the distribution restricted to the nucleus; a try
    succeeds with probability top_p or more.
    """
    cumulative = probabilities.cumsum(-1)
    tokens = torch.zeros(len(probabilities), dtype=torch.long, device=probabilities.device)
    pending = list(range(len(probabilities)))
    for _ in range(_MAX_TRIES):
        rows = torch.tensor(pending, device=probabilities.device)
        whole = len(pending) == len(probabilities)
        drawn = _invert(cumulative if whole else cumulative[rows], [streams[row] for row in pending])
        tokens[rows] = drawn
        if top_p >= 1:
            return tokens
        selected = probabilities if whole else probabilities[rows]
        chosen = selected.gather(-1, drawn[:, None])
        mass_above = selected.masked_fill(selected <= chosen, 0).sum(-1)
        rejected = (mass_above >= top_p).tolist()
        pending = [row for row, again in zip(pending, rejected, strict=True) if again]
        if not pending:
            return tokens
    rows = torch.tensor(pending, device=probabilities.device)
    nucleus = _nucleus(probabilities[rows], top_p)
    tokens[rows] = _invert(nucleus.cumsum(-1), [streams[row] for row in pending])
    return tokens


def _invert(cumulative: Tensor, streams: Sequence[np.random.Generator]) -> Tensor:
    """Draw one index per row by inverting its cumulative weights."""
    uniforms = torch.tensor([[min(stream.random(), _LARGEST)] for stream in streams], dtype=torch.float32)
    at = uniforms.to(cumulative.device) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, at, right=True)[:, 0].clamp(max=cumulative.shape[-1] - 1)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Set to 0 what lies outside the nucleus, by sorting: for the rare row that was rejected too often."""
    ordered, order = probabilities.sort(-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    outside[:, 0] = False
    return torch.zeros_like(probabilities).scatter(-1, order, ordered.masked_fill(outside, 0))
