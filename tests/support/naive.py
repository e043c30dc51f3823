"""The oracle: one prompt and one sample at a time, by plain forward passes of transformers.

Nothing here is shared with the engine but the random streams and the rule that draws a token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ilf_kedro.language_models.local.sampling import random_stream, sample_tokens
from ilf_kedro.language_models.protocol import SamplingOptions


@torch.inference_mode()
def generate(
    model,
    tokens: Sequence[int],
    options: SamplingOptions,
    ends: frozenset[int],
    seed: int,
    example_id: str,
    index: int,
    *,
    cached: bool = True,
) -> tuple[list[int], list[float], str]:
    """Sample one continuation; returns tokens, log-probabilities and finish reason.

    Not every model's key-value cache gives what its forward pass does: without `cached`, each token comes from a
    pass of its own.
    """
    stream = random_stream(seed, example_id, index)
    drawn: list[int] = []
    log_probabilities: list[float] = []
    cache = None
    while True:
        if cached:
            ids = torch.tensor([drawn[-1:] or list(tokens)])
            output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
        else:
            forget_lengths(model)
            output = model(input_ids=torch.tensor([[*tokens, *drawn]]), use_cache=False)
        token, log_probability = sample_tokens(output.logits[:, -1].float(), options, [stream])
        if int(token) in ends:
            return drawn, log_probabilities, "stop"
        drawn.append(int(token))
        log_probabilities.append(float(log_probability))
        if len(drawn) == options.max_new_tokens:
            return drawn, log_probabilities, "length"


def forget_lengths(model) -> None:
    """Let dynamic rotary embeddings begin anew: they remember the longest text that they have seen."""
    rotary = getattr(getattr(model, "model", None), "rotary_emb", None)
    if rotary is not None and "dynamic" in getattr(rotary, "rope_type", ""):
        rotary.__init__(model.config)


@torch.inference_mode()
def next_log_probabilities(model, tokens: Sequence[int]) -> torch.Tensor:
    """Return the log-probabilities of the next token, shape (vocabulary,)."""
    return model(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0, -1].float().log_softmax(-1)


@torch.inference_mode()
def token_log_probabilities(model, tokens: Sequence[int], start: int) -> list[float]:
    """Return the log-probabilities of tokens[start:] given all before each."""
    ids = torch.tensor(list(tokens))
    forget_lengths(model)
    logits = model(input_ids=ids[None, :-1], use_cache=False).logits[0].float().log_softmax(-1)
    return logits[torch.arange(start - 1, len(ids) - 1), ids[start:]].tolist()
