"""Faults of servers, over real HTTP: none loses a row or a paid token, and each is counted."""

from __future__ import annotations

import _thread
import logging
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai._base_client
import pytest
from pydantic import SecretStr, ValidationError

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai import client
from ilf_kedro.language_models.openai.errors import ApiRefusedError, ApiUnavailableError
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions
from ilf_kedro.language_models.protocol import Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.support.misbehaving_server import (
    KEY,
    TRANSIENT,
    MisbehavingServer,
    fault_at_random,
    prompt_of,
    text_for,
)


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.005)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.02)
    monkeypatch.setattr(client, "RETRY_SECONDS", 0.005)
    monkeypatch.setattr(client, "MAX_RETRY_SECONDS", 0.02)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    running = MisbehavingServer()
    yield running
    running.close()


def make(server: MisbehavingServer, cache: Path | None = None, **changes: Any) -> OpenAICompatibleLanguageModel:
    options = {"model": "small", "base_url": server.base_url, "max_retries": 8, **changes}
    return OpenAICompatibleLanguageModel(
        ApiOptions(**options),  # type: ignore[arg-type]
        credentials=ApiCredentials(api_key=SecretStr(KEY)),
        cache=CompletionCache(cache) if cache else None,
    )


def prompts(count: int) -> list[Prompt]:
    return [Prompt(f"Post number {index}. Output:", f"example-{index}") for index in range(count)]


@pytest.mark.slow
def test_a_thousand_requests_with_30_percent_faults(server: MisbehavingServer, tmp_path: Path) -> None:
    server.script = fault_at_random
    server.slow_seconds = 2.5
    model = make(server, tmp_path / "cache", concurrency=24, timeout_seconds=2)
    rows = model.generate(prompts(1000), range(2), SamplingOptions(), seed=3)
    server.script = lambda body, attempt: None

    assert [len(row) for row in rows] == [2] * 1000
    by_prompt: dict[str, list[dict[str, Any]]] = {}
    for body in server.bodies:
        by_prompt.setdefault(prompt_of(body), []).append(body)
    for prompt, row in zip(prompts(1000), rows, strict=True):
        possible = {text_for(body, index) for body in by_prompt[prompt.text] for index in range(body["n"])}
        kept = [completion for completion in row if completion.finish_reason != "refused"]
        assert {completion.text for completion in kept} <= possible
        assert len({completion.text for completion in kept}) == len(kept)
        assert all(completion.text == "" for completion in row if completion.finish_reason == "refused")

    seen, faults = server.faults, model.spending.faults
    assert all(seen[name] > 0 for name in TRANSIENT)
    assert faults["status 429"] == seen["429"] + seen["429 retry-after"]
    assert faults["status 5xx"] == seen["500"] + seen["503"]
    assert faults["time-out"] >= seen["slow"]  # on a busy machine an ordinary answer may come too late as well
    assert faults["dropped connection"] == seen["drop"] + seen["cut body"]
    assert faults["truncated or malformed body"] == seen["cut json"] + seen["html"]
    assert faults["no choices"] == seen["empty"]
    assert faults["failed within an answer"] == seen["failed"] + seen["error in 200"]
    assert faults["fewer choices than asked"] == seen["fewer"]
    reasons = [completion.finish_reason for row in rows for completion in row]
    assert faults["refusal"] == reasons.count("refused") > 0
    assert faults["cut at the maximal length"] == reasons.count("length") > 0

    asked = len(server.bodies)
    assert make(server, tmp_path / "cache").generate(prompts(1000), range(2), SamplingOptions(), seed=3) == rows
    assert len(server.bodies) == asked


def test_the_pause_that_a_server_asks_for_holds_for_all(server: MisbehavingServer) -> None:
    server.script = lambda body, attempt: "429 retry-after" if len(server.bodies) == 1 else None
    make(server, concurrency=1).generate(prompts(3), range(1), SamplingOptions(), seed=1)
    assert server.times[1] - server.times[0] >= 0.05


@pytest.mark.parametrize(
    ("behaviour", "cause", "remedy"),
    [
        ("401", "Incorrect API key", "credentials.yml"),
        ("403", "failure 403", "another model"),
        ("404", "model does not exist", "Check `model` and `base_url`"),
        ("400 context", "maximum context length", "max_prompt_characters"),
        ("429 quota", "exceeded your current quota", "no credit left"),
    ],
)
def test_permanent_errors_stop_at_once_and_keep_what_arrived(
    server: MisbehavingServer, tmp_path: Path, behaviour: str, cause: str, remedy: str
) -> None:
    server.script = lambda body, attempt: behaviour if "number 20." in prompt_of(body) else None
    server.delay = 0.003
    model = make(server, tmp_path / "cache", concurrency=2, max_retries=1)
    with pytest.raises(ApiRefusedError, match=cause) as caught:
        model.generate(prompts(200), range(1), SamplingOptions(), seed=1)
    assert remedy in str(caught.value)
    assert "'small'" in str(caught.value)
    assert server.base_url in str(caught.value)
    assert len(server.bodies) < 100
    if behaviour != "429 quota":
        assert server.faults[behaviour] == 1
    asked = {prompt_of(body) for body in server.bodies}
    server.script = lambda body, attempt: None
    server.bodies.clear()
    rows = make(server, tmp_path / "cache").generate(prompts(200), range(1), SamplingOptions(), seed=1)
    assert len(rows) == 200
    assert {prompt_of(body) for body in server.bodies} == {prompt.text for prompt in prompts(200)} - (
        asked - {prompts(21)[20].text}
    )


@pytest.mark.parametrize("behaviour", ["503", "drop", "html"])
def test_a_server_that_never_answers_is_given_up(server: MisbehavingServer, tmp_path: Path, behaviour: str) -> None:
    server.script = lambda body, attempt: behaviour if "number 5." in prompt_of(body) else None
    model = make(server, tmp_path / "cache", max_retries=3, concurrency=1)
    with pytest.raises(ApiUnavailableError, match=r"in 4 attempts.*run again"):
        model.generate(prompts(10), range(1), SamplingOptions(), seed=1)
    assert server.faults[behaviour] == 4
    server.script = lambda body, attempt: None
    rows = make(server, tmp_path / "cache").generate(prompts(10), range(1), SamplingOptions(), seed=1)
    assert len(rows) == 10
    assert len(server.bodies) == 5 + 4 + 5


def test_no_server_at_all_is_named() -> None:
    model = OpenAICompatibleLanguageModel(
        ApiOptions(model="small", base_url="http://127.0.0.1:9/v1", max_retries=1, timeout_seconds=1)
    )
    with pytest.raises(ApiUnavailableError, match=r"127\.0\.0\.1:9.*server is up"):
        model.generate(prompts(1), range(1), SamplingOptions(), seed=1)
    assert model.spending.faults == {"no connection": 2}


def test_a_server_that_ignores_n_is_asked_for_the_rest(server: MisbehavingServer) -> None:
    original = server._payload
    server._payload = lambda path, body, behaviour: original(path, {**body, "n": 1}, behaviour)  # type: ignore[method-assign]
    (row,) = make(server).generate(prompts(1), range(4), SamplingOptions(), seed=1)
    assert [body["n"] for body in server.bodies] == [4, 3, 2, 1]
    assert len({completion.text for completion in row}) == 4  # the seed moves with the first missing sample


def test_a_server_without_log_probabilities_is_told_so(server: MisbehavingServer) -> None:
    original = server._payload
    server._payload = lambda path, body, behaviour: original(path, {**body, "logprobs": None}, behaviour)  # type: ignore[method-assign]
    with pytest.raises(ApiRefusedError, match="top_log_probabilities"):
        make(server).choice_probabilities(prompts(3), [Choice("Yes", ("Yes",)), Choice("No", ("No",))])


def test_an_interruption_keeps_what_is_under_way(
    server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, handler))
    server.delay = 0.02
    cache = CompletionCache(tmp_path / "cache")
    put = cache.put_many
    stored: list[str] = []
    interrupted = threading.Lock()

    def put_and_interrupt(items: dict[str, str]) -> None:
        put(items)
        stored.extend(items)
        # Several threads store at once, so that none may see exactly ten.
        if len(stored) >= 10 and interrupted.acquire(blocking=False):
            _thread.interrupt_main()

    monkeypatch.setattr(cache, "put_many", put_and_interrupt)
    model = make(server, concurrency=4)
    model._asker.cache = cache
    threads_before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        model.generate(prompts(100), range(1), SamplingOptions(), seed=1)
    assert len(server.bodies) < 60
    assert len(stored) == len(server.bodies)
    assert threading.active_count() < threads_before + 15  # four of ours, and what the server still has open
    assert len(model.generate(prompts(100), range(1), SamplingOptions(), seed=1)) == 100
    assert len(server.bodies) == 100


def test_the_key_appears_nowhere(
    server: MisbehavingServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    server.script = lambda body, attempt: ("500", "drop", None)[attempt] if attempt < 3 else "401"
    model = make(server, tmp_path / "cache")
    model.generate(prompts(5), range(2), SamplingOptions(), seed=1)
    server.script = lambda body, attempt: "401"
    given = model._asker._credentials
    texts = [repr(model), repr(model.options), repr(given), str(given), str(model.spending)]
    with pytest.raises(ApiRefusedError) as caught:
        model.generate(prompts(5), range(2), SamplingOptions(), seed=2)
    assert caught.value.__context__ is None
    texts += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
    with pytest.raises(ValidationError) as invalid:
        ApiCredentials.model_validate({"apikey": KEY})
    texts += [str(invalid.value), "".join(traceback.format_exception(invalid.value))]
    output = capsys.readouterr()
    texts += [
        caplog.text,
        output.out,
        output.err,
        repr(caplog.records),
        str([vars(record) for record in caplog.records]),
    ]
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert any("***" in text for text in texts)
    assert f"Bearer {KEY}" in server.keys
    assert not [text[max(0, text.find(KEY) - 200) :][:400] for text in texts if KEY in text]
    assert KEY.encode() not in stored
    assert len(stored) > 1000
