"""The local backend: transformers models on this machine, each shared prefix computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ilf_kedro.language_models.cache.codecs import VECTOR, completion_codec
from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.local.choices import AnswerFinder
from ilf_kedro.language_models.local.formatting import Formatter
from ilf_kedro.language_models.local.loading import load_model_source
from ilf_kedro.language_models.local.options import LocalOptions
from ilf_kedro.language_models.local.run_statistics import RunStatistics
from ilf_kedro.language_models.local.runtime import LocalRuntime, load_language_model
from ilf_kedro.language_models.local.token_scoring import TokenScoring
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    ChoiceProbabilities,
    Completion,
    Context,
    MissingCapabilityError,
    SamplingOptions,
    TokenLogProbabilities,
)
from ilf_kedro.prompting import Prompt

__all__ = ["LocalLanguageModel", "LocalOptions", "load_model_source"]

_DEFAULT_OPTIONS = LocalOptions()


class LocalLanguageModel:
    """A transformers model on this machine; implements LanguageModel, and Embedder where its options offer it.

    Nothing is loaded before it is needed; see LocalRuntime, which computes.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        checkpoint: Checkpoint | None = None,
        cache: CompletionCache | None = None,
        options: LocalOptions = _DEFAULT_OPTIONS,
        statistics: RunStatistics | None = None,
    ) -> None:
        self.runtime = LocalRuntime(
            source,
            checkpoint=checkpoint,
            cache=cache,
            options=options,
            statistics=statistics or RunStatistics(),
            load=load_language_model,
        )

    @property
    def name(self) -> str:
        """The base model's name, and the checkpoint's where there is one."""
        return self.runtime.name

    @property
    def revision(self) -> str:
        """The content hash of the checkpoint, or else of the base model's files."""
        return self.runtime.revision

    @property
    def capabilities(self) -> frozenset[Capability]:
        """All but embed, which the options offer."""
        return frozenset(Capability) if self.options.embeddings else frozenset(Capability) - {Capability.EMBED}

    @property
    def source(self) -> ModelSource:
        """The base model's directory, and how to talk to it."""
        return self.runtime.source

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The trained weights; None for the base model as it is."""
        return self.runtime.checkpoint

    @property
    def options(self) -> LocalOptions:
        """How it computes."""
        return self.runtime.options

    @property
    def statistics(self) -> RunStatistics:
        """What it did so far."""
        return self.runtime.statistics

    @property
    def formatter(self) -> Formatter:
        """The model's tokenizer and format."""
        return self.runtime.formatter

    def with_checkpoint(self, checkpoint: Checkpoint) -> LocalLanguageModel:
        """Return the same model with trained weights: an adapter merged on loading, or a whole model.

        Both count into the same statistics.
        """
        return LocalLanguageModel(
            self.source,
            checkpoint=checkpoint,
            cache=self.runtime.cache,
            options=self.options,
            statistics=self.statistics,
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, special tokens not counted."""
        return [len(self.formatter.bare(text)) for text in texts]

    def generate(
        self, prompts: Sequence[Prompt], samples: range, options: SamplingOptions, *, seed: int, label: str = ""
    ) -> list[list[Completion]]:
        """Sample completions; see LanguageModel.

        Raises:
            PromptTooLongError: a prompt does not fit the context, even with its post cut away.
        """
        if not prompts or not samples:
            return [[] for _ in prompts]
        formatted = [self.runtime.format(prompt, options.max_new_tokens) for prompt in prompts]
        sampling = options.model_dump(mode="json")
        keys = [
            [
                self.runtime.key("generate", text.text, sampling=sampling, seed=seed, id=prompt.example_id, sample=i)
                for i in samples
            ]
            for prompt, text in zip(prompts, formatted, strict=True)
        ]
        return self.runtime.sample(
            [Context(prompt.example_id, text.tokens) for prompt, text in zip(prompts, formatted, strict=True)],
            samples,
            options,
            seed=seed,
            keys=keys,
            finish=lambda sample: sample.completion(seed),
            codec=completion_codec(seed),
            label=label,
        )

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Return how probable each choice is after each prompt; see LanguageModel.

        Every spelling is scored whole, and those of a choice are summed.
        """
        reserve = max(len(self.formatter.bare(word)) for choice in choices for word in choice.spellings) + 1
        formatted = [self.runtime.format(prompt, reserve) for prompt in prompts]
        requests = [self._answer_finder.find(each, choices) for each in formatted]
        asked: JsonValue = [[choice.name, *choice.spellings] for choice in choices]
        keys = [self.runtime.key("choice_probabilities", each.text, choices=asked) for each in formatted]
        scores = self.runtime.score([(request.sequences, request.start) for request in requests], keys, label)
        least = self.runtime.options.least_covered
        return [request.combine(each, least) for request, each in zip(requests, scores, strict=True)]

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", whole: bool = False
    ) -> list[TokenLogProbabilities]:
        """Return the log-probability of every token of each continuation; see LanguageModel.

        Where a continuation merges with its prompt's last characters into one token, that token counts.
        """
        tokenise = self.formatter.whole if whole else self.formatter.continuation
        pairs = [tokenise(*pair) for pair in zip(prompts, continuations, strict=True)]
        question = "whole_log_likelihood" if whole else "log_likelihood"
        for formatted, _ in pairs:
            self.runtime.count_cut(formatted)
        keys = [
            self.runtime.key(question, formatted.text, continuation=continuation)
            for (formatted, _), continuation in zip(pairs, continuations, strict=True)
        ]
        scores = self.runtime.score([((joint.tokens,), joint.start) for _, joint in pairs], keys, label)
        return [
            TokenLogProbabilities(tuple(score.tolist()), joint.spans)
            for (_, joint), (score,) in zip(pairs, scores, strict=True)
        ]

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """Return one unit vector per text: the mean of the last hidden states; see Embedder.

        Raises:
            MissingCapabilityError: the options do not offer it.
        """
        if not self.options.embeddings:
            raise MissingCapabilityError("embed()", Capability.EMBED, self.name)
        tokens = [self.formatter.text_tokens(text) for text in texts]
        keys = [self.runtime.key("embed", text) for text in texts]

        def compute(batch: list[int]) -> list[list[NDArray[np.float32]]]:
            with self.runtime.loaded() as loaded:
                return [[vector] for vector in loaded.engine.embed([tokens[index] for index in batch])]

        return np.array(
            [vector for (vector,) in self.runtime.run([[each] for each in tokens], keys, compute, VECTOR, label)],
            dtype=np.float32,
        )

    @cached_property
    def token_scoring(self) -> TokenScoring:
        """The same model, asked about token ids instead of texts."""
        return TokenScoring(self.runtime)

    @cached_property
    def _answer_finder(self) -> AnswerFinder:
        return AnswerFinder(self.formatter)
