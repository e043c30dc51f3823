"""A model on this machine, as all that ask it share it: tokenizer, weights, batches, cache and statistics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from ilf_kedro.language_models.cache.codecs import Codec
from ilf_kedro.language_models.cache.completion_cache import CompletionCache, cache_key
from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.checkpoints.configuration import context_length
from ilf_kedro.language_models.local.batching import (
    Answer,
    CachedBatches,
    Compute,
    Plan,
    batches_by_prefix,
    batches_by_size,
)
from ilf_kedro.language_models.local.decoding import Sample, run_decoding
from ilf_kedro.language_models.local.formatting import Formatted, Formatter
from ilf_kedro.language_models.local.loading import (
    LoadedModel,
    load_model,
    load_tokenizer,
    resolve_device,
    resolve_dtype,
)
from ilf_kedro.language_models.local.options import LocalOptions
from ilf_kedro.language_models.local.resident import LOADED_MODEL
from ilf_kedro.language_models.local.run_statistics import RunStatistics
from ilf_kedro.language_models.local.sampling import random_stream
from ilf_kedro.language_models.protocol import Context, SamplingOptions
from ilf_kedro.prompting import Prompt

__all__ = ["LocalRuntime", "Prepared", "load_language_model"]

logger = logging.getLogger(__name__)

ENGINE_VERSION = 5  # part of every cache key: raise it where answers change


Scores = list[NDArray[np.float64]]  # the token log-probabilities of several sequences
ScoringRequest = tuple[Sequence[tuple[int, ...]], int]  # sequences, and where in them scoring begins


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Answer]):
    """Requests as tokens, each one or more sequences; what answers a batch; tokens cut from each prompt."""

    requests: Sequence[Sequence[Sequence[int]]]
    compute: Compute[Answer]
    n_truncated_tokens: Sequence[int] = ()


class LocalRuntime:
    """Runs one model's forward passes, and keeps what they answer in the cache.

    Nothing is loaded before it is needed: the tokenizer for the first request, the weights (by `load`) for
    the first that is not in the cache. One model's weights are in memory at a time, whichever was asked last.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        checkpoint: Checkpoint | None,
        cache: CompletionCache | None,
        options: LocalOptions,
        statistics: RunStatistics,
        load: Callable[[LocalRuntime], LoadedModel],
    ) -> None:
        self.source, self.checkpoint = source, checkpoint
        self.cache, self.options, self.statistics = cache, options, statistics
        self._load = load
        self._batches = CachedBatches(cache, statistics)

    @property
    def name(self) -> str:
        """The base model's name, and the checkpoint's where there is one."""
        return self.source.name if self.checkpoint is None else f"{self.source.name}+{self.revision[:8]}"

    @property
    def revision(self) -> str:
        """The content hash of the checkpoint, or else of the base model's files."""
        return self.source.revision if self.checkpoint is None else self.checkpoint.record.content_hash

    @cached_property
    def formatter(self) -> Formatter:
        """The model's tokenizer and format; loaded when first asked for."""
        tokenizer = load_tokenizer(self.source, self.checkpoint)
        return Formatter(tokenizer, self.source.format, context_length(self.source.directory))

    @cached_property
    def device(self) -> str:
        """The type of the device that computes."""
        return resolve_device(self.options.device)

    @cached_property
    def dtype(self) -> str:
        """The type of the weights."""
        return resolve_dtype(self.source.dtype, self.device)

    @contextmanager
    def loaded(self) -> Iterator[LoadedModel]:
        """Give the weights, loading them where another model's are in memory."""
        key = f"{self._load.__qualname__}:{self.revision}:{self.dtype}:{self.device}"
        with LOADED_MODEL.use(key, lambda: self._load(self)) as loaded, torch.inference_mode():
            before = loaded.engine.n_computed
            yield loaded
            self.statistics.n_computed += loaded.engine.n_computed - before

    def format(self, prompt: Prompt, n_reserved: int) -> Formatted:
        """Format a prompt with room for `n_reserved` tokens after it, and count what was cut.

        Raises:
            PromptTooLongError: it does not fit the context, even with its input truncated.
        """
        formatted = self.formatter.prompt(prompt, n_reserved)
        self.count_truncated(formatted)
        return formatted

    def count_truncated(self, formatted: Formatted) -> None:
        """Count a prompt whose input was cut; the first is logged."""
        if not formatted.n_truncated_tokens:
            return
        if not self.statistics.n_truncated:
            logger.warning("%s: inputs longer than the context are truncated (counted in the statistics)", self.name)
        self.statistics.n_truncated += 1
        self.statistics.n_truncated_tokens += formatted.n_truncated_tokens

    def key(self, question: str, text: str, **parts: JsonValue) -> str:
        """Return the cache key of a question about a text."""
        return cache_key(model=self._identity, question=question, text=text, **parts)

    def prompt_key(self, question: str, prompt: Prompt, **parts: JsonValue) -> str:
        """Return the cache key of a question about a prompt: found without its tokens."""
        span: JsonValue = None if prompt.truncatable is None else [*prompt.truncatable]
        turns: dict[str, JsonValue] = {"turns": [*prompt.turns]} if prompt.turns else {}
        chat: dict[str, JsonValue] = {"chat": [*prompt.shape]} if prompt.chat and self.source.format == "chat" else {}
        return self.key(question, prompt.text, truncatable=span, **turns, **chat, **parts)

    @cached_property
    def _identity(self) -> str:
        """What all answers of this model depend on."""
        return cache_key(
            backend="local",
            engine=ENGINE_VERSION,
            revision=self.revision,
            format=self.source.format,
            template=self.formatter.template_hash,
            dtype=self.dtype,
            device=self.device,
        )

    def sample(
        self,
        contexts: Callable[[], tuple[Sequence[Context], Sequence[int]]],
        sample_indices: range,
        options: SamplingOptions,
        *,
        seed: int,
        keys: Sequence[Sequence[str]],
        finish: Callable[[Sample], Answer],
        codec: Codec[Answer],
        label: str,
        with_text: bool = True,
    ) -> list[list[Answer]]:
        """Draw the samples with these indices after each context; `finish` makes an answer of each.

        `contexts` gives the contexts, and the tokens cut from each, where any answer is missing. `with_text`
        false leaves the samples' text empty, where only tokens are wanted.
        """
        to_text = self._to_text if with_text else _no_text

        def plan() -> Plan[Answer]:
            found, n_truncated_tokens = contexts()
            lengths = [len(each.tokens) for each in found]

            def compute(batch: list[int]) -> list[list[Answer]]:
                rows = [
                    [Sample(random_stream(seed, found[index].example_id, i)) for i in sample_indices] for index in batch
                ]
                with self.loaded() as loaded:
                    tokens = [found[index].tokens for index in batch]
                    decoding = loaded.engine.decode(tokens, len(sample_indices), options.max_new_tokens)
                    run_decoding(decoding, [s for row in rows for s in row], options, loaded.ends, to_text)
                self.statistics.n_asked += sum(
                    lengths[i] + len(sample.tokens) for i, row in zip(batch, rows, strict=True) for sample in row
                )
                return [[finish(sample) for sample in row] for row in rows]

            limits = self.options.max_batch_tokens, self.options.max_batch_samples
            return Plan(batches_by_size(lengths, len(sample_indices), *limits), compute, n_truncated_tokens)

        return self._batches.run(keys, plan, codec, label)

    def scoring(self, requests: Sequence[ScoringRequest], *, as_one: bool = True) -> Compute[Scores]:
        """Return what computes the token log-probabilities of a batch's sequences, from each request's start on.

        The statistics count the sequences of a request as one question, or else each as its own.
        """

        def compute(batch: list[int]) -> list[list[Scores]]:
            flat = [(sequence, requests[index][1]) for index in batch for sequence in requests[index][0]]
            with self.loaded() as loaded:
                scores = iter(loaded.engine.score([sequence for sequence, _ in flat], [start for _, start in flat]))
            asked = [requests[index][0] for index in batch]
            self.statistics.n_asked += sum(len(each) for row in asked for each in (row[:1] if as_one else row))
            return [[list(islice(scores, len(requests[index][0])))] for index in batch]

        return compute

    def run(
        self,
        prepare: Callable[[], Prepared[Answer]],
        keys: Sequence[str],
        codec: Codec[Answer],
        label: str,
    ) -> list[Answer]:
        """Answer requests in batches that share prefixes; they are prepared where any answer is missing."""

        def plan() -> Plan[Answer]:
            prepared = prepare()
            batches = batches_by_prefix(prepared.requests, self.options.max_batch_tokens)
            return Plan(batches, prepared.compute, prepared.n_truncated_tokens)

        return [answer for (answer,) in self._batches.run([[key] for key in keys], plan, codec, label)]

    def _to_text(self, tokens: list[int]) -> str:
        return str(self.formatter.tokenizer.decode(tokens, skip_special_tokens=True))


def _no_text(tokens: list[int]) -> str:
    del tokens
    return ""


def load_language_model(runtime: LocalRuntime) -> LoadedModel:
    """Load the weights under the model's own head."""
    ends = runtime.formatter.tokenizer.eos_token_id, runtime.formatter.end
    return load_model(runtime.source, runtime.checkpoint, runtime.dtype, runtime.device, ends)
