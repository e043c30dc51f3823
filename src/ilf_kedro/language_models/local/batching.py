"""Batches formed from the whole list of requests, the cache asked batch by batch, memory running short."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from rich.progress import track

from ilf_kedro.language_models.cache.codecs import Codec, pack_truncated, unpack_truncated
from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.local.kernels.packing import common_prefix
from ilf_kedro.language_models.local.run_statistics import RunStatistics

__all__ = ["CachedBatches", "OutOfMemoryError", "Plan", "RunStatistics", "batches_by_prefix", "batches_by_size"]

logger = logging.getLogger(__name__)

_LOOKED_UP = 2000  # keys at a time: values as text and as answers are not all in memory together

Batch = list[int]
Answer = TypeVar("Answer")
Compute = Callable[[Batch], list[list[Answer]]]  # each request's answers: one, or one per sample


class OutOfMemoryError(RuntimeError):
    """A single request does not fit into memory."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[Answer]):
    """How to compute what is missing: batches of requests, and what answers one of them.

    `n_truncated_tokens` counts the tokens that were cut from each request's prompt; empty where no prompt may be cut.
    """

    batches: Sequence[Batch]
    compute: Compute[Answer]
    n_truncated_tokens: Sequence[int] = ()


class CachedBatches:
    """Answers requests from the cache, or computes them; memory running short halves what is left.

    A batch of which any answer is missing is computed again as a whole, in the shapes that it had before:
    so a resumed run gives the same answers even where these depend on shapes (bfloat16). Where none is
    missing nothing is planned, so that no prompt is tokenised.
    """

    def __init__(self, cache: CompletionCache | None, statistics: RunStatistics) -> None:
        self._cache, self._statistics = cache, statistics
        self._largest: int | None = None  # requests of a batch, once memory has run short

    def run(
        self, keys: Sequence[Sequence[str]], plan: Callable[[], Plan[Answer]], codec: Codec[Answer], label: str
    ) -> list[list[Answer]]:
        """Return the answers of every request; keys[i] are the cache keys of request i's answers.

        Raises:
            OutOfMemoryError: a single request does not fit into memory.
        """
        wanted = list(dict.fromkeys(key for row in keys for key in row))
        found, n_truncated_tokens = self._look_up(wanted, codec)
        self._statistics.hits += len(found)
        self._statistics.misses += len(wanted) - len(found)
        if len(found) == len(wanted):
            self._count_truncated([n_truncated_tokens[row[0]] for row in keys if row and row[0] in n_truncated_tokens])
        else:
            planned = plan()
            for batch in track(planned.batches, description=label or "Language model", disable=not label):
                if any(key not in found for index in batch for key in keys[index]):
                    found |= self._store(batch, keys, planned, codec, found)
        return [[found[key] for key in row] for row in keys]

    def _look_up(self, wanted: Sequence[str], codec: Codec[Answer]) -> tuple[dict[str, Answer], dict[str, int]]:
        """Return the answers that the cache has, and how many tokens were cut from their prompts, where any were."""
        found: dict[str, Answer] = {}
        n_truncated_tokens: dict[str, int] = {}
        if self._cache is None:
            return found, n_truncated_tokens
        unreadable = []
        for part in (wanted[start : start + _LOOKED_UP] for start in range(0, len(wanted), _LOOKED_UP)):
            for key, kept in self._cache.get_many(part).items():
                try:
                    text, cut = unpack_truncated(kept)
                    found[key] = codec.read(text)
                except (ValueError, TypeError, LookupError):  # written by hand, or by another version
                    unreadable.append(key)
                    continue
                if cut:
                    n_truncated_tokens[key] = cut
        self._cache.drop(unreadable)
        return found, n_truncated_tokens

    def _count_truncated(self, n_truncated_tokens: Sequence[int]) -> None:
        self._statistics.n_truncated += len(n_truncated_tokens)
        self._statistics.n_truncated_tokens += sum(n_truncated_tokens)

    def _store(
        self,
        batch: Batch,
        keys: Sequence[Sequence[str]],
        plan: Plan[Answer],
        codec: Codec[Answer],
        found: dict[str, Answer],
    ) -> dict[str, Answer]:
        """Compute a batch and store what is new; what the cache had stays as it was."""
        new: dict[str, Answer] = {}
        texts: dict[str, str] = {}
        for index, answers in zip(batch, self._compute(batch, plan.compute), strict=True):
            for key, answer in zip(keys[index], answers, strict=True):
                if key in found:
                    continue
                new[key] = answer
                if self._cache is not None:
                    texts[key] = pack_truncated(
                        codec.write(answer), plan.n_truncated_tokens[index] if plan.n_truncated_tokens else 0
                    )
        if self._cache is not None:
            self._cache.put_many(texts)
        return new

    def _compute(self, batch: Batch, compute: Compute[Answer]) -> list[list[Answer]]:
        size = min(self._largest or len(batch), len(batch))
        answers: list[list[Answer]] = []
        while len(answers) < len(batch):
            part = batch[len(answers) : len(answers) + size]
            try:
                answers += compute(part)
                continue
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not _is_out_of_memory(error):
                    raise
                if len(part) == 1:
                    raise OutOfMemoryError(
                        "the memory does not hold a single request: use a smaller model or dtype bfloat16, fewer "
                        f"samples, or more memory ({error})"
                    ) from error
            size = self._largest = len(part) // 2
            logger.warning("Out of memory with %d requests at a time: going on with %d", len(part), size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return answers


def _is_out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "not enough memory" in text


def batches_by_prefix(requests: Sequence[Sequence[Sequence[int]]], max_tokens: int) -> list[Batch]:
    """Group requests, each of one or more token sequences, so that shared prefixes come together.

    A batch has at most max_tokens unique tokens, or one request.
    """
    first = [np.asarray(sequences[0], dtype=np.int64) for sequences in requests]
    order = sorted(range(len(requests)), key=lambda i: tuple(requests[i][0]))
    batches: list[Batch] = []
    size = 0
    for index in order:
        n_others = sum(len(s) - common_prefix(np.asarray(s), first[index]) for s in requests[index][1:])
        shared = common_prefix(first[batches[-1][-1]], first[index]) if batches else 0
        added = len(first[index]) - shared + n_others
        if not batches or size + added > max_tokens:
            batches.append([])
            size, added = 0, added + shared
        batches[-1].append(index)
        size += added
    return batches


def batches_by_size(lengths: Sequence[int], n_samples: int, max_tokens: int, max_samples: int) -> list[Batch]:
    """Group prompts of like length: at most max_tokens prompt tokens and max_samples samples, or one prompt."""
    batches: list[Batch] = []
    size = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        full = batches and (size + lengths[index] > max_tokens or (len(batches[-1]) + 1) * n_samples > max_samples)
        if not batches or full:
            batches.append([])
            size = 0
        batches[-1].append(index)
        size += lengths[index]
    return batches
