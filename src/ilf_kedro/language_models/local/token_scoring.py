"""Sampling and scoring of token ids themselves, for divergences between models.

A sampled text that is tokenised again may give other tokens than were drawn, and a text does not show the
end-of-sequence token. So a divergence is never taken from texts: the very tokens that one model drew are
scored, the end-of-sequence token among them where it was drawn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.language_models.cache.codecs import SCORES, Codec
from ilf_kedro.language_models.local.decoding import Sample
from ilf_kedro.language_models.local.runtime import LocalRuntime, Prepared
from ilf_kedro.language_models.protocol import Context, SamplingOptions, TokenSequence
from ilf_kedro.prompting import Prompt

__all__ = ["TokenScoring"]


@dataclass(frozen=True, slots=True)
class TokenScoring:
    """Draws and scores a local model's token ids over its whole vocabulary, at temperature 1."""

    runtime: LocalRuntime

    def contexts(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Context]:
        """Return the prompts as tokens, their inputs truncated where `max_new_tokens` more would not fit.

        Raises:
            PromptTooLongError: a prompt does not fit, even with its input truncated.
        """
        return [Context(each.example_id, self.runtime.format(each, max_new_tokens).tokens) for each in prompts]

    def beginnings(self, n: int) -> list[Context]:
        """Return `n` contexts that hold the start-of-text token alone, each with a name of its own."""
        beginning = self.runtime.formatter.text_tokens("")
        return [Context(f"unconditional-{i}", beginning) for i in range(n)]

    def sample(
        self, contexts: Sequence[Context], n_samples: int, max_new_tokens: int, *, seed: int, label: str = ""
    ) -> list[list[TokenSequence]]:
        """Draw continuations at temperature 1 from the whole vocabulary: no top-k, no top-p.

        Each has at most `max_new_tokens` tokens, the end-of-sequence token counted. A sample depends on
        (model, context, seed, example_id, its index) alone.
        """
        key = self.runtime.key
        keys = [
            [
                key("sample_tokens", "", context=[*each.tokens], n=max_new_tokens, seed=seed, id=each.example_id, i=i)
                for i in range(n_samples)
            ]
            for each in contexts
        ]
        return self.runtime.sample(
            lambda: (contexts, ()),
            range(n_samples),
            SamplingOptions(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=max_new_tokens),
            seed=seed,
            keys=keys,
            finish=_sequence,
            codec=_SEQUENCE,
            label=label,
            with_text=False,
        )

    def score(
        self, contexts: Sequence[Context], sequences: Sequence[Sequence[TokenSequence]], *, label: str = ""
    ) -> list[list[NDArray[np.float64]]]:
        """Return the log-probability (nats) of every token of sequences[i][j] after contexts[i].

        All sequences must have at least one token.
        """
        requests = [
            ([(*context.tokens, *sequence.tokens) for sequence in row], len(context.tokens))
            for context, row in zip(contexts, sequences, strict=True)
        ]
        keys = [
            self.runtime.key("score_tokens", "", context=list(context.tokens), sequences=[list(s.tokens) for s in row])
            for context, row in zip(contexts, sequences, strict=True)
        ]
        scoring = self.runtime.scoring(requests, as_one=False)
        return self.runtime.run(lambda: Prepared([each for each, _ in requests], scoring), keys, SCORES, label)


def _sequence(sample: Sample) -> TokenSequence:
    end, of_end = ((sample.end[0],), (sample.end[1],)) if sample.end is not None else ((), ())
    return TokenSequence((*sample.tokens, *end), (*sample.log_probabilities, *of_end), sample.end is not None)


def _write(sequence: TokenSequence) -> str:
    tokens, values = list(sequence.tokens), list(sequence.log_probabilities)
    return json.dumps({"tokens": tokens, "log_probabilities": values, "ended": sequence.ended})


def _read(text: str) -> TokenSequence:
    values = json.loads(text)
    return TokenSequence(tuple(values["tokens"]), tuple(values["log_probabilities"]), values["ended"])


_SEQUENCE = Codec(_write, _read)
