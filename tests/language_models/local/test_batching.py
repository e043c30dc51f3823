"""Batches, the cache asked batch by batch, and memory running short."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.language_models.cache.codecs import NUMBER, Codec
from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.local.batching import (
    CachedBatches,
    OutOfMemoryError,
    Plan,
    RunStatistics,
    batches_by_prefix,
    batches_by_size,
)

TEXT = Codec(str, str)


class Computer:
    """Answers request i with "answer-i", and remembers what it was asked."""

    def __init__(self, memory: int = 10**6):
        self.asked: list[list[int]] = []
        self.memory = memory

    def __call__(self, batch):
        self.asked.append(list(batch))
        if len(batch) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return [[f"answer-{index}"] for index in batch]


KEYS = [[f"key-{index}"] for index in range(6)]
BATCHES = [[5, 0], [1, 2, 3], [4]]
ANSWERS = [[f"answer-{index}"] for index in range(6)]


@pytest.fixture
def cache(tmp_path):
    return CompletionCache(tmp_path / "cache.sqlite")


def test_answers_come_back_in_the_order_asked(cache):
    assert CachedBatches(None, RunStatistics()).run(KEYS, lambda: Plan(BATCHES, Computer()), TEXT, "") == ANSWERS
    assert CachedBatches(cache, RunStatistics()).run(KEYS, lambda: Plan(BATCHES, Computer()), TEXT, "") == ANSWERS


def test_a_batch_with_anything_missing_is_computed_again_as_a_whole(cache):
    cache.put_many({"key-2": "answer-2", "key-5": "answer-5", "key-0": "answer-0"})
    computer, statistics = Computer(), RunStatistics()
    assert CachedBatches(cache, statistics).run(KEYS, lambda: Plan(BATCHES, computer), TEXT, "") == ANSWERS
    assert computer.asked == [[1, 2, 3], [4]]
    assert (statistics.hits, statistics.misses) == (3, 3)
    again = Computer()
    assert CachedBatches(cache, RunStatistics()).run(KEYS, lambda: Plan(BATCHES, again), TEXT, "") == ANSWERS
    assert again.asked == []


def test_what_the_cache_had_stays_the_answer(cache):
    cache.put_many({"key-2": "as it was"})
    answers = CachedBatches(cache, RunStatistics()).run(KEYS, lambda: Plan(BATCHES, Computer()), TEXT, "")
    assert answers[2] == ["as it was"]
    assert cache.get_many(["key-2"]) == {"key-2": "as it was"}


def test_a_kept_text_that_is_no_answer_is_computed_again_and_replaced(cache):
    cache.put_many({f"key-{index}": "1.0" if index else "no number" for index in range(6)})
    plan = Plan(BATCHES, lambda batch: [[2.0] for _ in batch])
    answers = CachedBatches(cache, RunStatistics()).run(KEYS, lambda: plan, NUMBER, "")
    assert answers == [[2.0], *[[1.0]] * 5]
    assert cache.get_many(["key-0"]) == {"key-0": "2.0"}


def test_without_a_cache_answers_are_what_was_computed():
    """Nothing is written as text, and read again, where nothing keeps it."""
    refuses = Codec(write=lambda _: pytest.fail("written"), read=lambda _: pytest.fail("read"))
    answer = object()
    assert CachedBatches(None, RunStatistics()).run(
        [["key"]], lambda: Plan([[0]], lambda _: [[answer]]), refuses, ""
    ) == [[answer]]


def test_a_run_that_dies_keeps_its_finished_batches(cache):
    def dies(batch):
        if 4 in batch:
            raise KeyboardInterrupt
        return [[f"answer-{index}"] for index in batch]

    with pytest.raises(KeyboardInterrupt):
        CachedBatches(cache, RunStatistics()).run(KEYS, lambda: Plan(BATCHES, dies), TEXT, "")
    assert len(cache.get_many([f"key-{i}" for i in range(6)])) == 5


def test_equal_requests_have_one_answer(cache):
    keys = [["same"], ["same"]]
    answers = CachedBatches(cache, RunStatistics()).run(
        keys, lambda: Plan([[0, 1]], lambda batch: [["a"], ["a"]]), TEXT, ""
    )
    assert answers == [["a"], ["a"]]


def test_memory_running_short_halves_what_is_left():
    computer = Computer(memory=2)
    keys = [[f"key-{index}"] for index in range(12)]
    answers = CachedBatches(None, RunStatistics()).run(
        keys, lambda: Plan([list(range(9)), [9, 10, 11]], computer), TEXT, ""
    )
    assert answers == [[f"answer-{index}"] for index in range(12)]
    assert [len(batch) for batch in computer.asked] == [9, 4, 2, 2, 2, 2, 1, 2, 1]


def test_a_single_request_too_large_says_so():
    with pytest.raises(OutOfMemoryError, match="smaller model or dtype bfloat16"):
        CachedBatches(None, RunStatistics()).run(KEYS[:2], lambda: Plan([[0, 1]], Computer(memory=0)), TEXT, "")


def test_other_errors_pass():
    def fails(batch):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        CachedBatches(None, RunStatistics()).run(KEYS[:2], lambda: Plan([[0, 1]], fails), TEXT, "")


@given(
    st.lists(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=2), max_size=15),
    st.integers(1, 30),
)
def test_batches_by_prefix_hold_everything_within_the_limit(requests, limit):
    batches = batches_by_prefix(requests, limit)
    assert sorted(index for batch in batches for index in batch) == list(range(len(requests)))
    for batch in batches:
        prefixes = {tuple(s[:end]) for index in batch for s in requests[index] for end in range(1, len(s) + 1)}
        assert len(prefixes) <= limit or len(batch) == 1


@given(st.lists(st.integers(1, 40), max_size=20), st.integers(1, 8), st.integers(1, 100), st.integers(1, 30))
def test_batches_by_size_hold_everything_within_the_limits(lengths, n_samples, max_tokens, max_samples):
    batches = batches_by_size(lengths, n_samples, max_tokens, max_samples)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or sum(lengths[index] for index in batch) <= max_tokens
        assert len(batch) == 1 or len(batch) * n_samples <= max_samples
    flat = [lengths[index] for batch in batches for index in batch]
    assert flat == sorted(flat, reverse=True)
