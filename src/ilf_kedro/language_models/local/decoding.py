"""The sampling loop: draw, stop, and let finished samples leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ilf_kedro.language_models.local.engines import Decoding
from ilf_kedro.language_models.local.sampling import sample_tokens
from ilf_kedro.language_models.protocol import Completion, FinishReason, SamplingOptions


@dataclass(slots=True)
class Sample:
    """One continuation in the making, and in the end its text.

    `tokens` leave out the end-of-sequence token; `log_probabilities` belong to them.
    """

    stream: np.random.Generator
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    text: str = ""
    finish_reason: FinishReason | None = None

    def add(self, token: int, log_probability: float, options: SamplingOptions, ends: frozenset[int]) -> None:
        """Append a drawn token, unless it ends the sequence."""
        if token in ends:
            self.finish_reason = "stop"
            return
        self.tokens.append(token)
        self.log_probabilities.append(log_probability)
        if len(self.tokens) == options.max_new_tokens:
            self.finish_reason = "length"

    def to_json(self) -> str:
        """Return the finished sample as the JSON that the cache keeps."""
        return json.dumps(
            {
                "text": self.text,
                "n_tokens": len(self.tokens),
                "finish_reason": self.finish_reason,
                "token_log_probabilities": self.log_probabilities,
            }
        )


def completion_from_json(answer: str, seed: int) -> Completion:
    """Return the completion that Sample.to_json() wrote."""
    values = json.loads(answer)
    return Completion(
        values["text"], values["n_tokens"], values["finish_reason"], seed, tuple(values["token_log_probabilities"])
    )


def run_decoding(
    decoding: Decoding,
    samples: Sequence[Sample],
    options: SamplingOptions,
    ends: frozenset[int],
    to_text: Callable[[list[int]], str],
) -> None:
    """Continue every sample until it ends: by an end token, a stop string or max_new_tokens.

    The text is cut before the stop string; the tokens are all that were drawn.
    """
    active = list(samples)
    logits = decoding.first()
    while True:
        tokens, log_probabilities = sample_tokens(logits, options, [sample.stream for sample in active])
        for sample, token, value in zip(active, tokens.tolist(), log_probabilities.tolist(), strict=True):
            sample.add(token, value, options, ends)
            if options.stop or sample.finish_reason is not None:
                sample.text = to_text(sample.tokens)
            _stop_at_string(sample, options.stop)
        rows = [row for row, sample in enumerate(active) if sample.finish_reason is None]
        if not rows:
            return
        if len(rows) < len(active):
            kept = torch.tensor(rows, device=logits.device)
            decoding.keep(kept)
            tokens, active = tokens[kept], [active[row] for row in rows]
        logits = decoding.step(tokens)


def _stop_at_string(sample: Sample, stop: tuple[str, ...]) -> None:
    """Cut the text before the first stop string in it, if any, and end the sample."""
    found = [place for text in stop if text and (place := sample.text.find(text)) >= 0]
    if found:
        sample.text = sample.text[: min(found)]
        sample.finish_reason = "stop"
