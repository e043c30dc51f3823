"""CostTracker: prices, forecasts and a budget that holds, whatever the server does."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai._base_client
import pytest
from pydantic import ValidationError

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai import client, questions
from ilf_kedro.language_models.openai.cost_tracker import BudgetExceededError, CostTracker, Usage
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions, Price
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.language_models.openai.conftest import Serve
from tests.support.misbehaving_server import MisbehavingServer, prompt_of
from tests.support.server_replies import chat

PRICE = Price(input=1000, output=2000)  # USD per million tokens: $0.001 and $0.002 each


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MisbehavingServer]:
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.005)
    monkeypatch.setattr(client, "RETRY_SECONDS", 0.005)
    running = MisbehavingServer()
    yield running
    running.close()


def make(server: MisbehavingServer, path: Path | None = None, **changes: Any) -> OpenAICompatibleLanguageModel:
    options = {"model": "small", "base_url": server.base_url, "prices": {"small": PRICE}}
    return OpenAICompatibleLanguageModel(
        ApiOptions(**{**options, **changes}), cache=CompletionCache(path) if path else None
    )


def prompts(count: int) -> list[Prompt]:
    return [Prompt(f"Post number {index}. Output:", f"example-{index}") for index in range(count)]


def test_cost_of_usage() -> None:
    usage = Usage(1_000_000, 500_000, 400_000)
    assert usage.cost(Price(input=2, output=8)) == pytest.approx(2 + 4)
    assert usage.cost(Price(input=2, output=8, cached_input=0.5)) == pytest.approx(1.2 + 0.2 + 4)
    assert usage.cost(Price(input=2, output=8, batch_factor=0.25), batch=True) == pytest.approx(1.5)
    assert usage + Usage(1, 2, 3) == Usage(1_000_001, 500_002, 400_003)


def test_report_has_what_the_server_billed_and_the_cache_saved(
    server: MisbehavingServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = make(server, tmp_path / "cache")
    model.generate(prompts(6), range(4), SamplingOptions(), seed=1)
    first = model.spending
    assert (first.requests, first.usage.input_tokens, first.usage.output_tokens) == (6, *server.billed)
    billed = server.billed[0] * 0.001 + server.billed[1] * 0.002
    assert first.usd == pytest.approx(billed)
    assert (first.saved_answers, first.possibly_billed_usd, first.budget) == (0, 0.0, None)
    model.generate(prompts(7), range(4), SamplingOptions(), seed=1)
    second = model.spending
    assert (second.requests, second.saved_answers) == (7, 24)
    assert second.saved_usd == pytest.approx(billed)
    assert second.saved_usage == first.usage
    assert "6 requests, about" in caplog.text
    assert "at most 1152 out, at most about $" in caplog.text  # 6 × 4 × 48
    assert "the cache saved 24 answers (" in caplog.text


def test_unknown_price_is_said_to_be_unknown(server: MisbehavingServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = make(server, prices={"another": PRICE})
    model.generate(prompts(1), range(1), SamplingOptions(), seed=1)
    assert model.spending.usd is None
    assert "the model's price is unknown" in caplog.text
    assert "price unknown" in str(model.spending)


def test_a_budget_without_price_is_refused(server: MisbehavingServer) -> None:
    with pytest.raises(ValidationError, match=r"price of 'small' is unknown.*add it to `prices`"):
        make(server, prices={}, budget=1.0)
    with pytest.raises(ValidationError, match="'vectors' is unknown"):
        make(server, budget=1.0, embedding_model="vectors")


def test_the_budget_is_never_exceeded_and_everything_is_kept(
    server: MisbehavingServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make(server, tmp_path / "cache", budget=3.0, concurrency=8)
    with pytest.raises(BudgetExceededError, match=r"budget of \$3\.0000 does not suffice.*Raise `budget`"):
        model.generate(prompts(500), range(2), SamplingOptions(), seed=1)
    assert "it stops cleanly when they are used up" in caplog.text
    billed = server.billed[0] * 0.001 + server.billed[1] * 0.002
    assert model.spending.usd == pytest.approx(billed)
    assert 2.3 < billed <= 3.0  # the next request could have cost $0.48
    paid = {prompt_of(body) for body in server.bodies}
    server.bodies.clear()
    rows = make(server, tmp_path / "cache").generate(prompts(500), range(2), SamplingOptions(), seed=1)
    assert len(rows) == 500
    assert {prompt_of(body) for body in server.bodies} == {prompt.text for prompt in prompts(500)} - paid


@pytest.mark.parametrize("losses", [("cut body",), ("drop",), ("slow",), ("html", "500")])
def test_the_budget_holds_where_answers_are_billed_but_lost(server: MisbehavingServer, losses: tuple[str, ...]) -> None:
    def lose_half(body: dict[str, Any], attempt: int) -> str | None:
        digest = hashlib.sha256(f"{prompt_of(body)}{attempt}".encode()).digest()
        return losses[digest[1] % len(losses)] if digest[0] < 128 else None

    server.script = lose_half
    model = make(server, budget=4.0, concurrency=6, max_retries=20, timeout_seconds=0.5 if "slow" in losses else 60)
    with pytest.raises(BudgetExceededError, match="possibly billed"):
        model.generate(prompts(200), range(1), SamplingOptions(), seed=1)
    report = model.spending
    billed = server.billed[0] * 0.001 + server.billed[1] * 0.002
    assert report.usd is not None
    assert report.possibly_billed_usd > 1
    assert report.usd < billed <= report.usd + report.possibly_billed_usd <= 4.0


def test_a_reservation_waits_for_those_in_flight() -> None:
    spending = CostTracker(budget=1.0)
    spending.reserve(0.8)
    granted = threading.Event()

    def second() -> None:
        spending.reserve(0.8)
        granted.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not granted.wait(0.05)
    spending.book(Usage(1, 1), 0.1)
    spending.settle(0.8)
    assert granted.wait(60)
    thread.join()
    spending.settle(0.8, lost=True)
    with pytest.raises(BudgetExceededError):
        spending.reserve(0.2)
    spending.reserve(0.1)


def test_one_budget_for_several_models(server: MisbehavingServer) -> None:
    shared = CostTracker(budget=1.2)
    options = ApiOptions(model="small", base_url=server.base_url, prices={"small": PRICE})
    first = OpenAICompatibleLanguageModel(options, spending=shared)
    second = OpenAICompatibleLanguageModel(options, spending=shared)
    first.generate(prompts(20), range(1), SamplingOptions(), seed=1)
    assert second.spending == first.spending
    with pytest.raises(BudgetExceededError):
        second.generate(prompts(100), range(1), SamplingOptions(), seed=2)
    billed = server.billed[0] * 0.001 + server.billed[1] * 0.002
    assert first.spending.usd == pytest.approx(billed)
    assert billed <= 1.2
    own = [model.ledger.report() for model in (first, second)]
    assert [report.requests for report in own] == [20, len(server.bodies) - 20]
    assert sum(report.usd or 0 for report in own) == pytest.approx(billed)
    assert own[0].budget == own[1].budget == 1.2


def test_a_text_that_cannot_be_so_long_costs_no_more_than_was_asked(serve: Serve) -> None:
    model, _ = serve(lambda body, n: (200, chat("word " * 100_000, usage=(5, 5))), prices={"m": PRICE})
    ((found,),) = model.generate([Prompt("Post 0", "e")], range(1), SamplingOptions(max_new_tokens=48), seed=1)
    assert len(found.text) == 500_000
    assert model.spending.usage.output_tokens == 48


@pytest.mark.parametrize(
    ("usage", "believed"),
    [
        ((-5, -1_000_000), (0, 0)),
        ((5, 10**12), (5, 3 * 48)),  # at most n × max_new_tokens
        ((10**12, 5), (len("Post 0") + 256, 5)),  # at most a token a byte, and what a chat template adds
        ((5, 7), (5, 7)),
    ],
)
def test_usage_is_believed_up_to_what_was_asked_and_never_below_zero(
    serve: Serve, usage: tuple[int, int], believed: tuple[int, int]
) -> None:
    model, _ = serve(lambda body, n: (200, chat(n=3, usage=usage)), prices={"m": PRICE}, budget=10.0, cached=True)
    model.generate([Prompt("Post 0", "e")], range(3), SamplingOptions(max_new_tokens=48), seed=1)
    report = model.spending
    # Fewer tokens than texts that were received are not believed either.
    assert report.usage.input_tokens == believed[0]
    assert report.usage.output_tokens >= believed[1]
    assert report.usd == pytest.approx(believed[0] * 1e-3 + report.usage.output_tokens * 2e-3)
    assert ("usage that cannot be" in report.faults) == (usage != believed)


def test_a_negative_usage_buys_no_more_requests(serve: Serve) -> None:
    model, _ = serve(lambda body, n: (200, chat(usage=(-(10**6), -(10**6)))), prices={"m": PRICE}, budget=1.0)
    with pytest.raises(BudgetExceededError):
        model.generate(
            [Prompt(f"Post {i}", f"e{i}") for i in range(400)], range(1), SamplingOptions(max_new_tokens=48), seed=1
        )
    assert (model.spending.usd or 0) <= 1.0


@pytest.mark.parametrize("budget", [None, 0.75])
def test_an_error_in_reading_an_answer_holds_nobody_up(
    serve: Serve, budget: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.75 allows two of the eight requests at once: what the others wait for must be given back."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault of the reader")

    monkeypatch.setattr(questions, "read_answer", broken)
    model, _ = serve(lambda body, n: (200, chat()), prices={"m": PRICE}, budget=budget, concurrency=4)
    asked = [Prompt(f"Post {index}", f"e{index}") for index in range(8)]
    ended: list[BaseException] = []

    def run() -> None:
        try:
            model.generate(asked, range(1), SamplingOptions(max_new_tokens=48), seed=1)
        except (ZeroDivisionError, BudgetExceededError) as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert ended, "the work hangs"
    assert model.spending.possibly_billed_usd > 0, "an answer that came and could not be read may be billed"


def test_answers_that_are_thrown_away_count_against_the_budget(serve: Serve) -> None:
    broken = {**chat("A fine su", "error"), "usage": {"prompt_tokens": 100, "completion_tokens": 40}}
    model, _ = serve(lambda body, n: (200, broken if n == 0 else chat()), prices={"m": PRICE}, budget=5.0)
    model.generate([Prompt("Post", "e")], range(1), SamplingOptions(max_new_tokens=48), seed=1)
    assert model.spending.usd == pytest.approx(0.1 + 0.08 + 0.005 + 0.01)
    no_usage = {**broken, "usage": None}
    model, _ = serve(lambda body, n: (200, no_usage if n == 0 else chat()), prices={"m": PRICE}, budget=5.0)
    model.generate([Prompt("Post", "e")], range(1), SamplingOptions(max_new_tokens=48), seed=1)
    bound = (len("Post") + 256) * 1e-3 + 48 * 2e-3
    assert model.spending.possibly_billed_usd == pytest.approx(bound)
