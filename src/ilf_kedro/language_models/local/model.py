"""The local backend: transformers models on this machine, each shared prefix computed once."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from ilf_kedro.language_models.cache.completion_cache import CompletionCache, cache_key
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.local.batching import BatchRunner, RunStatistics, batches_by_prefix, batches_by_size
from ilf_kedro.language_models.local.choices import AnswerFinder
from ilf_kedro.language_models.local.decoding import Sample, completion_from_json, run_decoding
from ilf_kedro.language_models.local.formatting import Formatted, Formatter
from ilf_kedro.language_models.local.loading import (
    LoadedModel,
    context_length,
    load_model,
    load_model_source,
    load_tokenizer,
    resolve_device,
    resolve_dtype,
)
from ilf_kedro.language_models.local.options import LocalOptions
from ilf_kedro.language_models.local.resident import RESIDENT
from ilf_kedro.language_models.local.sampling import random_stream
from ilf_kedro.language_models.local.token_scoring import TokenScoring
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    ChoiceProbabilities,
    Completion,
    MissingCapabilityError,
    SamplingOptions,
    TokenLogProbabilities,
)
from ilf_kedro.prompting import Prompt

__all__ = ["LocalLanguageModel", "LocalOptions", "load_model_source"]

logger = logging.getLogger(__name__)

ENGINE_VERSION = 4  # part of every cache key: raise it where answers change


_DEFAULT_OPTIONS = LocalOptions()


class LocalLanguageModel:
    """A transformers model on this machine; implements LanguageModel.

    Nothing is loaded before it is needed: the tokenizer for the first request, the weights for the first
    that is not in the cache. One model's weights are in memory at a time, whichever was asked last.
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
        self.source = source
        self.checkpoint = checkpoint
        self.statistics = statistics or RunStatistics()
        self.cache, self.options = cache, options
        self._runner = BatchRunner(cache, self.statistics)

    @property
    def name(self) -> str:
        """The base model's name, and the checkpoint's where there is one."""
        return self.source.name if self.checkpoint is None else f"{self.source.name}+{self.revision[:8]}"

    @property
    def revision(self) -> str:
        """The content hash of the checkpoint, or else of the base model's files."""
        return self.source.revision if self.checkpoint is None else self.checkpoint.record.content_hash

    @property
    def capabilities(self) -> frozenset[Capability]:
        """All but embed, which the options offer."""
        return frozenset(Capability) if self.options.embeddings else frozenset(Capability) - {Capability.EMBED}

    def with_checkpoint(self, checkpoint: Checkpoint) -> LocalLanguageModel:
        """Return the same model with trained weights: an adapter merged on loading, or a whole model.

        Both count into the same statistics.
        """
        return LocalLanguageModel(
            self.source, checkpoint=checkpoint, cache=self.cache, options=self.options, statistics=self.statistics
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
        formatted = [self._format(prompt, options.max_new_tokens) for prompt in prompts]
        sampling = options.model_dump(mode="json")
        keys = [
            [
                self._key("generate", text.text, sampling=sampling, seed=seed, id=prompt.example_id, sample=i)
                for i in samples
            ]
            for prompt, text in zip(prompts, formatted, strict=True)
        ]
        lengths = [len(text.tokens) for text in formatted]
        batches = batches_by_size(lengths, len(samples), self.options.max_batch_tokens, self.options.max_batch_samples)
        ids = [prompt.example_id for prompt in prompts]

        def compute(batch: list[int]) -> list[list[str]]:
            rows = [[Sample(random_stream(seed, ids[index], i)) for i in samples] for index in batch]
            with self._loaded() as loaded:
                decoding = loaded.engine.decode(
                    [formatted[index].tokens for index in batch], len(samples), options.max_new_tokens
                )
                run_decoding(decoding, [s for row in rows for s in row], options, loaded.ends, self._to_text)
            self.statistics.n_asked += sum(
                lengths[i] + len(s.tokens) for i, row in zip(batch, rows, strict=True) for s in row
            )
            return [[sample.to_json() for sample in row] for row in rows]

        answers = self._runner.run(batches, keys, compute, label)
        return [[completion_from_json(answer, seed) for answer in row] for row in answers]

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Return how probable each choice is after each prompt; see LanguageModel.

        Every spelling is scored whole, and those of a choice are summed.
        """
        reserve = max(len(self.formatter.bare(word)) for choice in choices for word in choice.spellings) + 1
        formatted = [self._format(prompt, reserve) for prompt in prompts]
        requests = [self._answer_finder.find(each, choices) for each in formatted]
        self.statistics.n_merged += sum(request.merged for request in requests)
        asked: JsonValue = [[choice.name, *choice.spellings] for choice in choices]
        keys = [self._key("choice_probabilities", each.text, choices=asked) for each in formatted]
        scores = self._score([(request.sequences, request.start) for request in requests], keys, label)
        return [request.combine(each) for request, each in zip(requests, scores, strict=True)]

    def log_likelihood(
        self, prompts: Sequence[Prompt], continuations: Sequence[str], *, label: str = "", whole: bool = False
    ) -> list[TokenLogProbabilities]:
        """Return the log-probability of every token of each continuation; see LanguageModel.

        Where a continuation merges with its prompt's last characters into one token, that token counts.
        """
        tokenise = self.formatter.whole if whole else self.formatter.continuation
        pairs = [tokenise(*pair) for pair in zip(prompts, continuations, strict=True)]
        question = "whole_log_likelihood" if whole else "log_likelihood"
        for formatted, joint in pairs:
            self._count_cut(formatted)
            self.statistics.n_merged += joint.merged
        keys = [
            self._key(question, formatted.text, continuation=continuation)
            for (formatted, _), continuation in zip(pairs, continuations, strict=True)
        ]
        scores = self._score([((joint.tokens,), joint.start) for _, joint in pairs], keys, label)
        return [
            TokenLogProbabilities(tuple(score.tolist()), joint.spans)
            for (_, joint), (score,) in zip(pairs, scores, strict=True)
        ]

    def embed(self, texts: Sequence[str], *, label: str = "") -> NDArray[np.float32]:
        """Return one unit vector per text: the mean of the last hidden states; see LanguageModel.

        Raises:
            MissingCapabilityError: the options do not offer it.
        """
        if not self.options.embeddings:
            raise MissingCapabilityError("embed()", Capability.EMBED, self.name)
        tokens = [self.formatter.text_tokens(text) for text in texts]
        keys = [[self._key("embed", text)] for text in texts]

        def compute(batch: list[int]) -> list[list[str]]:
            with self._loaded() as loaded:
                vectors = loaded.engine.embed([tokens[index] for index in batch])
            return [[json.dumps(vector.tolist())] for vector in vectors]

        batches = batches_by_prefix([[each] for each in tokens], self.options.max_batch_tokens)
        answers = self._runner.run(batches, keys, compute, label)
        return np.array([json.loads(answer) for (answer,) in answers], dtype=np.float32)

    @cached_property
    def token_scoring(self) -> TokenScoring:
        """The same model, asked about token ids instead of texts; see TokenScoring."""
        beginning = self.formatter.text_tokens("")
        return TokenScoring(
            self._format, beginning, self._runner, self.statistics, self._loaded, self._key, self.options
        )

    def _score(
        self, requests: Sequence[tuple[Sequence[tuple[int, ...]], int]], keys: Sequence[str], label: str
    ) -> list[list[NDArray[np.float64]]]:
        """Return the token log-probabilities of every sequence of every request, from its start on."""

        def compute(batch: list[int]) -> list[list[str]]:
            flat = [(sequence, requests[index][1]) for index in batch for sequence in requests[index][0]]
            with self._loaded() as loaded:
                scores = iter(loaded.engine.score([sequence for sequence, _ in flat], [start for _, start in flat]))
            self.statistics.n_asked += sum(len(requests[index][0][0]) for index in batch)
            return [[json.dumps([score.tolist() for score in islice(scores, len(requests[i][0]))])] for i in batch]

        batches = batches_by_prefix([sequences for sequences, _ in requests], self.options.max_batch_tokens)
        answers = self._runner.run(batches, [[key] for key in keys], compute, label)
        return [[np.array(score) for score in json.loads(answer)] for (answer,) in answers]

    @contextmanager
    def _loaded(self) -> Iterator[LoadedModel]:
        """Give the weights, loading them where another model's are in memory."""
        key = f"{type(self).__name__}:{self.revision}:{self._dtype}:{self._device}"
        with RESIDENT.use(key, self._load) as loaded, torch.inference_mode():
            before = loaded.engine.n_computed
            yield loaded
            self.statistics.n_computed += loaded.engine.n_computed - before

    def _load(self) -> LoadedModel:
        return load_model(self.source, self.checkpoint, self._dtype, self._device, self.formatter.tokenizer)

    @cached_property
    def formatter(self) -> Formatter:
        """The model's tokenizer and format; loaded when first asked for."""
        tokenizer = load_tokenizer(self.source, self.checkpoint)
        return Formatter(tokenizer, self.source.format, context_length(self.source))

    @cached_property
    def _answer_finder(self) -> AnswerFinder:
        return AnswerFinder(self.formatter)

    @cached_property
    def _device(self) -> str:
        return resolve_device(self.options.device)

    @cached_property
    def _dtype(self) -> str:
        return resolve_dtype(self.source.dtype, self._device)

    def _format(self, prompt: Prompt, n_reserved: int) -> Formatted:
        formatted = self.formatter.prompt(prompt, n_reserved)
        self._count_cut(formatted)
        return formatted

    def _count_cut(self, formatted: Formatted) -> None:
        """Count a prompt whose post was cut; the first is logged."""
        if not formatted.n_cut:
            return
        if not self.statistics.n_truncated:
            logger.warning("%s: posts longer than the context are cut (counted in the statistics)", self.name)
        self.statistics.n_truncated += 1
        self.statistics.n_cut += formatted.n_cut

    def _to_text(self, tokens: list[int]) -> str:
        return str(self.formatter.tokenizer.decode(tokens, skip_special_tokens=True))

    def _key(self, question: str, text: str, **parts: JsonValue) -> str:
        return cache_key(
            backend="local",
            engine=ENGINE_VERSION,
            revision=self.revision,
            format=self.source.format,
            template=self.formatter.template_hash,
            dtype=self._dtype,
            device=self._device,
            question=question,
            text=text,
            **parts,
        )
