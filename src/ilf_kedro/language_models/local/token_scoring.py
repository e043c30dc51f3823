"""Sampling and scoring of token ids themselves, for divergences between models.

A sampled text that is tokenised again may give other tokens than were drawn, and a text does not show the
end-of-sequence token. So a divergence is never taken from texts: the very tokens that one model drew are
scored, the end-of-sequence token among them where it was drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.language_models.local.batching import BatchRunner, RunStatistics, batches_by_prefix, batches_by_size
from ilf_kedro.language_models.local.decoding import Sample, run_decoding
from ilf_kedro.language_models.local.formatting import Formatted
from ilf_kedro.language_models.local.loading import LoadedModel
from ilf_kedro.language_models.local.options import LocalOptions
from ilf_kedro.language_models.local.sampling import random_stream
from ilf_kedro.language_models.protocol import Context, SamplingOptions, TokenSequence
from ilf_kedro.prompting import Prompt

__all__ = ["TokenScoring"]


@dataclass(slots=True)
class _TokenSample(Sample):
    """A sample that keeps the end-of-sequence token, and its log-probability."""

    def add(self, token: int, log_probability: float, options: SamplingOptions, ends: frozenset[int]) -> None:
        Sample.add(self, token, log_probability, options, ends)
        if self.finish_reason == "stop":
            self.tokens.append(token)
            self.log_probabilities.append(log_probability)

    def to_json(self) -> str:
        ended = self.finish_reason == "stop"
        return json.dumps({"tokens": self.tokens, "log_probabilities": self.log_probabilities, "ended": ended})


@dataclass(frozen=True, slots=True)
class TokenScoring:
    """A local model that draws and scores token ids over its whole vocabulary, at temperature 1.

    `format_prompt` tokenises a prompt with room for n tokens after it, `beginning` is the start-of-text token,
    `loaded` gives the weights and `key` the cache's key of a question; see LocalLanguageModel.token_scoring.
    """

    format_prompt: Callable[[Prompt, int], Formatted]
    beginning: tuple[int, ...]
    runner: BatchRunner
    statistics: RunStatistics
    loaded: Callable[[], AbstractContextManager[LoadedModel]]
    key: Callable[..., str]
    options: LocalOptions

    def contexts(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Context]:
        """Return the prompts as tokens, their posts cut where `max_new_tokens` more would not fit.

        Raises:
            PromptTooLongError: a prompt does not fit, even with its post cut away.
        """
        return [Context(each.example_id, self.format_prompt(each, max_new_tokens).tokens) for each in prompts]

    def beginnings(self, n: int) -> list[Context]:
        """Return `n` contexts that hold the start-of-text token alone, each with a name of its own."""
        return [Context(f"unconditional-{i}", self.beginning) for i in range(n)]

    def sample(
        self, contexts: Sequence[Context], n_samples: int, max_new_tokens: int, *, seed: int, label: str = ""
    ) -> list[list[TokenSequence]]:
        """Draw continuations at temperature 1 from the whole vocabulary: no top-k, no top-p.

        Each has at most `max_new_tokens` tokens, the end-of-sequence token counted. A sample depends on
        (model, context, seed, example_id, its index) alone.
        """
        options = SamplingOptions(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=max_new_tokens)
        keys = [
            [
                self.key(
                    "sample_tokens", "", context=list(each.tokens), n=max_new_tokens, seed=seed, id=each.example_id, i=i
                )
                for i in range(n_samples)
            ]
            for each in contexts
        ]

        def compute(batch: list[int]) -> list[list[str]]:
            rows = [
                [_TokenSample(random_stream(seed, contexts[index].example_id, i)) for i in range(n_samples)]
                for index in batch
            ]
            with self.loaded() as loaded:
                decoding = loaded.engine.decode([contexts[index].tokens for index in batch], n_samples, max_new_tokens)
                run_decoding(decoding, [sample for row in rows for sample in row], options, loaded.ends, lambda _: "")
            self.statistics.n_asked += sum(
                lengths[index] + len(sample.tokens) for index, row in zip(batch, rows, strict=True) for sample in row
            )
            return [[sample.to_json() for sample in row] for row in rows]

        lengths = [len(each.tokens) for each in contexts]
        limits = self.options.max_batch_tokens, self.options.max_batch_samples
        answers = self.runner.run(batches_by_size(lengths, n_samples, *limits), keys, compute, label)
        return [[_sequence(answer) for answer in row] for row in answers]

    def score(
        self, contexts: Sequence[Context], sequences: Sequence[Sequence[TokenSequence]], *, label: str = ""
    ) -> list[list[NDArray[np.float64]]]:
        """Return the log-probability (nats) of every token of sequences[i][j] after contexts[i].

        All sequences must have at least one token.
        """
        requests = [
            [(*context.tokens, *sequence.tokens) for sequence in row]
            for context, row in zip(contexts, sequences, strict=True)
        ]
        keys = [
            [self.key("score_tokens", "", context=list(context.tokens), sequences=[list(s.tokens) for s in row])]
            for context, row in zip(contexts, sequences, strict=True)
        ]

        def compute(batch: list[int]) -> list[list[str]]:
            flat = [(tokens, len(contexts[index].tokens)) for index in batch for tokens in requests[index]]
            with self.loaded() as loaded:
                scores = iter(loaded.engine.score([tokens for tokens, _ in flat], [start for _, start in flat]))
            self.statistics.n_asked += sum(len(tokens) for tokens, _ in flat)
            return [[json.dumps([score.tolist() for score in islice(scores, len(requests[i]))])] for i in batch]

        answers = self.runner.run(batches_by_prefix(requests, self.options.max_batch_tokens), keys, compute, label)
        return [[np.array(score, dtype=np.float64) for score in json.loads(answer)] for (answer,) in answers]


def _sequence(answer: str) -> TokenSequence:
    values = json.loads(answer)
    return TokenSequence(tuple(values["tokens"]), tuple(values["log_probabilities"]), values["ended"])
