"""Limits per minute: by a clock of the test's own, and once over HTTP."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.rate_limiter import RateLimiter
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.support.misbehaving_server import MisbehavingServer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_no_limit_never_waits() -> None:
    clock = Clock()
    pace = RateLimiter(None, clock=clock, sleep=clock.sleep)
    for _ in range(1000):
        pace.wait(10**9)
    assert clock.now == 100.0


@given(st.lists(st.floats(0.1, 500), min_size=2, max_size=60), st.floats(10, 5000))
def test_no_minute_sees_more_than_allowed(amounts: list[float], per_minute: float) -> None:
    clock = Clock()
    pace = RateLimiter(per_minute, clock=clock, sleep=clock.sleep)
    begun = []
    for amount in amounts:
        pace.wait(amount)
        begun.append((clock.now, amount))
    for index, (start, _) in enumerate(begun):
        # The last of a window may reach beyond it: it is paid off before anything follows.
        window = [amount for time, amount in begun[index:] if time < start + 60]
        assert sum(window[:-1]) <= per_minute * (1 + 1e-9)
    assert clock.now - 100 == pytest.approx(sum(amounts[:-1]) * 60 / per_minute)


def test_what_was_not_used_is_given_back_and_a_pause_holds() -> None:
    clock = Clock()
    pace = RateLimiter(60, clock=clock, sleep=clock.sleep)
    pace.wait(10)
    pace.give_back(7)
    pace.wait(1)
    assert clock.now == pytest.approx(103)
    pace.hold_back(20)
    pace.wait(1)
    assert clock.now == pytest.approx(123)
    free = RateLimiter(None, clock=clock, sleep=clock.sleep)
    free.hold_back(5)
    free.wait()
    assert clock.now == pytest.approx(128)


@pytest.mark.parametrize("limit", [{"requests_per_minute": 1200}, {"tokens_per_minute": 1200 * 64}])
def test_requests_are_spaced_out_and_run_side_by_side(limit: dict[str, float]) -> None:
    server = MisbehavingServer()
    server.delay = 0.2
    begin = time.monotonic()
    model = OpenAICompatibleLanguageModel(ApiOptions(model="small", base_url=server.base_url, concurrency=8, **limit))
    # About 16 + 48 tokens each; unused ones are given back only after 0.2 s
    model.generate([Prompt("x" * 32, f"{i}") for i in range(6)], range(1), SamplingOptions(), seed=1)
    server.close()
    # At 0.05 s apart until the first answer, after 0.2 s. On a busy machine they may only be late, never early.
    assert all(at - begin >= min(0.05 * place, 0.2) - 0.005 for place, at in enumerate(sorted(server.times)))
    assert server.most_in_flight >= 2


def test_no_more_at_once_than_the_concurrency() -> None:
    server = MisbehavingServer()
    server.delay = 0.02
    model = OpenAICompatibleLanguageModel(ApiOptions(model="small", base_url=server.base_url, concurrency=3))
    model.generate([Prompt("x", f"{i}") for i in range(30)], range(1), SamplingOptions(), seed=1)
    server.close()
    assert server.most_in_flight == 3
