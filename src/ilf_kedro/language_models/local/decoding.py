"""The sampling loop: draw, stop, and let finished samples leave."""

from __future__ import annotations

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

    `tokens` leave out the end-of-sequence token, which is in `end` where it was drawn; both have their
    log-probabilities.
    """

    stream: np.random.Generator
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    text: str = ""
    finish_reason: FinishReason | None = None
    end: tuple[int, float] | None = None

    def add(self, token: int, log_probability: float, options: SamplingOptions, ends: frozenset[int]) -> None:
        """Append a drawn token, unless it ends the sequence."""
        if token in ends:
            self.finish_reason, self.end = "stop", (token, log_probability)
            return
        self.tokens.append(token)
        self.log_probabilities.append(log_probability)
        if len(self.tokens) == options.max_new_tokens:
            self.finish_reason = "length"

    def completion(self, seed: int) -> Completion:
        """Return the finished sample, drawn under `seed`.

        Raises:
            ValueError: it has not ended.
        """
        if self.finish_reason is None:
            raise ValueError("a sample that has not ended is no completion")
        return Completion(self.text, len(self.tokens), self.finish_reason, seed, tuple(self.log_probabilities))


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
