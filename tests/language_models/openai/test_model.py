"""The API backend over real HTTP: what it asks, what it makes of the answers, and what it keeps."""

from __future__ import annotations

import json
import math
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai import readers
from ilf_kedro.language_models.openai.answers import ApiChoice
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions
from ilf_kedro.language_models.protocol import (
    Capability,
    Choice,
    LanguageModel,
    MissingCapabilityError,
    SamplingOptions,
    require,
)
from ilf_kedro.prompting import Message, Prompt, PromptTemplate, fill, messages_to_json
from tests.support.misbehaving_server import KEY, MisbehavingServer, log_probability, text_for

Make = Callable[..., OpenAICompatibleLanguageModel]
YES_NO = (Choice("Yes", ("Yes", " Yes")), Choice("No", ("No", " No")))


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    running = MisbehavingServer()
    yield running
    running.close()


@pytest.fixture
def make(server: MisbehavingServer, tmp_path: Path) -> Make:
    def build(*, cached: bool = True, **changes: Any) -> OpenAICompatibleLanguageModel:
        return OpenAICompatibleLanguageModel(
            ApiOptions(**{"model": "small", "base_url": server.base_url, **changes}),
            credentials=ApiCredentials(api_key=SecretStr(KEY)),
            cache=CompletionCache(tmp_path / "cache.sqlite") if cached else None,
        )

    return build


def prompts(count: int) -> list[Prompt]:
    return [Prompt(f"Post number {index}. Output:", f"example-{index}") for index in range(count)]


@pytest.mark.parametrize(
    "kept",
    [
        "no JSON", "[]", "null", '{"text": "x"}', '{"text": "x", "usage": [0, 0, 0]}',
        '{"text": 5, "n_tokens": 1, "finish_reason": "stop", "usage": [0, 0, 0]}',
        '{"text": "x", "n_tokens": "many", "finish_reason": "stop", "usage": [0, 0, 0]}',
    ],
)  # fmt: skip
def test_a_kept_text_that_is_no_answer_is_asked_for_again(make: Make, server: MisbehavingServer, kept: str) -> None:
    first = make()
    rows = first.generate(prompts(1), range(1), SamplingOptions(), seed=1)
    cache = CompletionCache(first.cache.path)  # type: ignore[union-attr]
    (key,) = [key for (key,) in sqlite3.connect(cache.path).execute("SELECT key FROM completions")]
    cache.drop([key])
    cache.put_many({key: kept})
    assert make().generate(prompts(1), range(1), SamplingOptions(), seed=1) == rows
    assert len(server.bodies) == 2
    assert make().generate(prompts(1), range(1), SamplingOptions(), seed=1) == rows
    assert len(server.bodies) == 2


def test_is_a_language_model(make: Make) -> None:
    model = make()
    assert isinstance(model, LanguageModel)
    assert (model.name, model.revision) == ("small", "small")
    assert model.capabilities == {Capability.GENERATE, Capability.CHOICE_PROBABILITIES, Capability.MESSAGES}
    assert Capability.CHOICE_PROBABILITIES not in make(top_log_probabilities=0).capabilities


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_generates_in_order_with_the_options_asked(make: Make, server: MisbehavingServer, endpoint: str) -> None:
    sampling = SamplingOptions(temperature=0.7, top_p=0.9, top_k=40, max_new_tokens=33, stop=("\n", "END"))
    model = make(endpoint=endpoint, extra_body={"reasoning_effort": "low"})
    rows = model.generate(prompts(7), range(3), sampling, seed=5)
    assert len(server.bodies) == 7  # the three samples of a prompt are one request
    by_prompt = {(body.get("prompt") or body["messages"][-1]["content"]): body for body in server.bodies}
    for prompt, row in zip(prompts(7), rows, strict=True):
        body = by_prompt[prompt.text]
        assert [completion.text for completion in row] == [text_for(body, index) for index in range(3)]
        assert {completion.finish_reason for completion in row} == {"stop"}
        assert sum(completion.n_tokens for completion in row) == 18
        assert (body["temperature"], body["top_p"], body["top_k"], body["max_tokens"]) == (0.7, 0.9, 40, 33)
        assert (body["stop"], body["n"], body["reasoning_effort"]) == (["\n", "END"], 3, "low")
    assert len({body["seed"] for body in server.bodies}) == 7
    assert server.keys == {f"Bearer {KEY}"}


def test_system_message_parameter_name_and_no_seed(make: Make, server: MisbehavingServer) -> None:
    model = make(system_message="Be brief.", max_tokens_parameter="max_completion_tokens", omit=("seed",))
    model.generate(prompts(1), range(1), SamplingOptions(), seed=0)
    (body,) = server.bodies
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["max_completion_tokens"] == 48
    assert not {"max_tokens", "seed", "top_k", "stop"} & set(body)


def test_second_run_asks_nothing_and_a_change_asks_anew(make: Make, server: MisbehavingServer) -> None:
    first = make().generate(prompts(4), range(2), SamplingOptions(), seed=1)
    assert len(server.bodies) == 4
    again = make()
    assert again.generate(prompts(4), range(2), SamplingOptions(), seed=1) == first
    assert len(server.bodies) == 4
    assert again.spending.saved_answers == 8
    changes: list[Callable[[], object]] = [
        lambda: make().generate(prompts(1), range(2), SamplingOptions(), seed=2),
        lambda: make().generate(prompts(1), range(2), SamplingOptions(temperature=0.5), seed=1),
        lambda: make().generate([Prompt("Other", "example-0")], range(2), SamplingOptions(), seed=1),
        lambda: make().generate([Prompt(prompts(1)[0].text, "another")], range(2), SamplingOptions(), seed=1),
        lambda: make(model="large").generate(prompts(1), range(2), SamplingOptions(), seed=1),
        lambda: make(endpoint="completions").generate(prompts(1), range(2), SamplingOptions(), seed=1),
        lambda: make(system_message="x").generate(prompts(1), range(2), SamplingOptions(), seed=1),
        lambda: make(extra_body={"a": 1}).generate(prompts(1), range(2), SamplingOptions(), seed=1),
    ]
    for number, change in enumerate(changes, start=1):
        change()
        assert len(server.bodies) == 4 + number
    # What only says how to send does not matter.
    make(concurrency=1, timeout_seconds=9).generate(prompts(4), range(2), SamplingOptions(), seed=1)
    assert len(server.bodies) == 4 + len(changes)


def test_a_later_range_continues_an_earlier_one(make: Make, server: MisbehavingServer) -> None:
    model = make()
    early = model.generate(prompts(2), range(2), SamplingOptions(), seed=1)
    later = model.generate(prompts(2), range(2, 5), SamplingOptions(), seed=1)
    assert [body["n"] for body in server.bodies] == [2, 2, 3, 3]
    assert model.generate(prompts(2), range(5), SamplingOptions(), seed=1) == [
        a + b for a, b in zip(early, later, strict=True)
    ]
    assert len({completion.text for row in (*early, *later) for completion in row}) == 10
    assert len(server.bodies) == 4


def test_requests_hold_no_more_samples_than_allowed(make: Make, server: MisbehavingServer) -> None:
    (row,) = make(samples_per_request=4).generate(prompts(1), range(10), SamplingOptions(), seed=1)
    assert sorted(body["n"] for body in server.bodies) == [2, 4, 4]
    assert len({completion.text for completion in row}) == 10


def test_greedy_is_asked_once_and_repeated(make: Make, server: MisbehavingServer) -> None:
    rows = make().generate(prompts(2), range(3), SamplingOptions(temperature=0), seed=1)
    assert [body["n"] for body in server.bodies] == [1, 1]
    assert all(len(row) == 3 and len(set(row)) == 1 for row in rows)


def test_equal_prompts_of_one_example_are_asked_once(make: Make, server: MisbehavingServer) -> None:
    rows = make(cached=False).generate(prompts(1) * 3, range(2), SamplingOptions(), seed=1)
    assert len(server.bodies) == 1
    assert rows[0] == rows[1] == rows[2]


def test_text_ends_before_any_stop_text_even_beyond_four(make: Make, server: MisbehavingServer) -> None:
    sampling = SamplingOptions(stop=("a!", "b!", "c!", "d!", " of "))
    ((completion,),) = make().generate(prompts(1), range(1), sampling, seed=1)
    assert len(server.bodies[0]["stop"]) == 4
    assert completion.text == text_for(server.bodies[0], 0).split(" of ")[0]


def test_inputs_are_shortened_and_counted(make: Make, server: MisbehavingServer) -> None:
    long = Prompt("POST: " + "x" * 100 + "\nTL;DR:", "long", (6, 106))
    model = make(max_prompt_characters=40)
    model.generate([long, *prompts(1)], range(1), SamplingOptions(), seed=1)
    sent = {body["messages"][0]["content"] for body in server.bodies}
    assert sent == {"POST: " + "x" * 27 + "\nTL;DR:", prompts(1)[0].text}
    assert model.n_shortened == 1


def test_a_conversation_is_sent_as_messages_without_its_oldest_turns(make: Make, server: MisbehavingServer) -> None:
    talk = [Message("system", "S"), Message("user", "long " * 20), Message("assistant", "b"), Message("user", "d")]
    prompt = fill(
        PromptTemplate(text="{{ request }}", truncate="request"), {"example_id": "e", "request": messages_to_json(talk)}
    )
    short = make(max_prompt_characters=40)
    for model, kept in ((make(), talk), (short, [talk[0], talk[3]])):
        server.bodies.clear()
        model.generate([prompt], range(1), SamplingOptions(), seed=1)
        expected = [{"role": turn.role, "content": turn.content} for turn in kept]
        assert [body["messages"] for body in server.bodies] == [expected]
    assert short.n_shortened == 1


def test_messages_of_a_template_are_sent_as_such_and_their_input_is_shortened(
    make: Make, server: MisbehavingServer
) -> None:
    keys = [{"role": "system", "content": "S {{ a }}"}, {"role": "user", "content": "<{{ b }}>"}]
    template = PromptTemplate.model_validate({"messages": keys, "truncate": "b"})
    prompt = template.render("e", a="x", b="0123456789" * 9)
    assert prompt.text.startswith("System: S x\n\nUser: <0123")
    for limit, kept in ((None, 90), (60, 60 - len("System: S x\n\nUser: <>"))):
        server.bodies.clear()
        make(max_prompt_characters=limit).generate([prompt], range(1), SamplingOptions(), seed=1)
        expected = [{"role": "system", "content": "S x"}, {"role": "user", "content": f"<{('0123456789' * 9)[:kept]}>"}]
        assert [body["messages"] for body in server.bodies] == [expected]
    with pytest.raises(MissingCapabilityError, match="messages"):
        make(endpoint="completions").generate([prompt], range(1), SamplingOptions(), seed=1)


def test_token_log_probabilities_where_asked(make: Make, server: MisbehavingServer) -> None:
    ((completion,),) = make(token_log_probabilities=True).generate(prompts(1), range(1), SamplingOptions(), seed=1)
    assert completion.token_log_probabilities == (pytest.approx(math.log(0.6)),)
    assert completion.n_tokens == 1
    assert server.bodies[0]["logprobs"] is True


@pytest.mark.parametrize(
    ("texts", "finish", "total", "expected"),
    [
        (["a" * 30, "b" * 10], ["stop", "stop"], 8, [6, 2]),
        (["a" * 90, "b" * 20, "c" * 20], ["length", "stop", "stop"], 30, [20, 5, 5]),
        (["a" * 90, "b" * 20], ["length", "stop"], 20, [20, 5]),  # one choice alone was counted
        (["a" * 90, "b" * 90], ["length", "length"], 20, [20, 20]),
        (["a" * 40, ""], ["stop", "stop"], 0, [10, 0]),  # nothing was counted
    ],
)
def test_tokens_of_each_choice(texts: list[str], finish: list[str], total: int, expected: list[int]) -> None:
    choices = [ApiChoice(text=text, finish_reason=reason) for text, reason in zip(texts, finish, strict=True)]
    assert readers._tokens_each(choices, total, 20) == expected


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_choice_probabilities(make: Make, server: MisbehavingServer, endpoint: str) -> None:
    model = make(endpoint=endpoint)
    (answer,) = model.choice_probabilities([Prompt("Good?", "a")], YES_NO)
    expected = [0.6, 0.3]
    if endpoint == "completions":  # the server's list has one more token there
        expected[0] += math.exp(log_probability("Good?", " Yes"))
    total = sum(expected)
    np.testing.assert_allclose(np.exp(answer.log_probabilities), [value / total for value in expected], rtol=1e-6)
    assert answer.covered == pytest.approx(min(1.0, total))
    (body,) = server.bodies
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (1, 1.0, 1.0)
    assert body.get("top_logprobs", body["logprobs"]) == (20 if endpoint == "chat" else 5)
    # Other verbalizers are read from the same answer.
    model.choice_probabilities([Prompt("Good?", "b")], (Choice("Maybe", ("Maybe",)), *YES_NO))
    assert len(server.bodies) == 1


def test_refused_choice_knows_nothing(make: Make, server: MisbehavingServer) -> None:
    server.top = {"x": -1.0}
    server.script = lambda body, attempt: "refusal"
    model = make(top_log_probabilities=1)
    server.top = {}
    original = server._payload

    def without_logprobs(path: str, body: dict[str, Any], behaviour: str | None) -> dict[str, Any]:
        return original(path, {**body, "logprobs": False}, behaviour)

    server._payload = without_logprobs  # type: ignore[method-assign]
    (answer,) = model.choice_probabilities([Prompt("Good?", "a")], YES_NO)
    np.testing.assert_allclose(np.exp(answer.log_probabilities), [0.5, 0.5])
    assert (answer.covered, answer.bound) == (0.0, 0.5)


def test_embeddings_are_unit_vectors_in_order(make: Make, server: MisbehavingServer) -> None:
    model = make(embedding_model="vectors")
    assert Capability.EMBED in model.capabilities
    texts = ["a" * (1 + index % 70) for index in range(150)]
    vectors = model.embed(texts)
    expected = np.array([[len(text), 3.0, 1.0] for text in texts])
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)
    assert vectors.dtype == np.float32
    assert sorted(len(body["input"]) for body in server.bodies) == [6, 64]  # 70 distinct texts
    assert model.embed([]).shape[0] == 0


def test_what_a_model_lacks_is_refused_before_any_request(make: Make, server: MisbehavingServer) -> None:
    model = make(top_log_probabilities=0)
    with pytest.raises(MissingCapabilityError, match=r"log_likelihood.*local"):
        model.log_likelihood(prompts(1), [" x"])
    with pytest.raises(MissingCapabilityError, match="embed"):
        model.embed(["a"])
    with pytest.raises(MissingCapabilityError, match="choice_probabilities"):
        model.choice_probabilities(prompts(1), YES_NO)
    with pytest.raises(MissingCapabilityError, match="perplexity needs the capability 'log_likelihood'"):
        require(model, Capability.LOG_LIKELIHOOD, user="perplexity")
    assert server.bodies == []


def test_log_likelihood_where_the_server_echoes_truly(make: Make, server: MisbehavingServer) -> None:
    model = make(endpoint="completions")
    assert Capability.LOG_LIKELIHOOD in model.capabilities
    probes = len(server.bodies)
    assert probes == 2
    first, second = model.log_likelihood(
        [Prompt("The post is", "a"), Prompt("A title-", "b")], [" long and dull", "page of x"]
    )
    assert first.spans == ((0, 5), (5, 9), (9, 14))
    expected = [
        log_probability("The post is", " long"),
        log_probability("The post is long", " and"),
        log_probability("The post is long and", " dull"),
    ]
    assert first.log_probabilities == pytest.approx(expected)
    # " title-page" begins in the prompt: it counts, with the part of its span in the continuation.
    assert second.spans == ((0, 4), (4, 7), (7, 9))
    assert second.log_probabilities[0] == pytest.approx(log_probability("A", " title-page"))
    assert len(server.bodies) == probes + 2
    assert Capability.LOG_LIKELIHOOD in model.capabilities
    assert len(server.bodies) == probes + 2  # probed once


@pytest.mark.parametrize("lie", ["shifted", "absent", "refused"])
def test_a_server_that_does_not_echo_truly_lacks_the_capability(
    make: Make, server: MisbehavingServer, lie: str
) -> None:
    if lie == "shifted":
        server.echo_offset = -0.5
    elif lie == "refused":
        server.script = lambda body, attempt: "400 context" if body.get("echo") else None
    else:
        server._echo = lambda prompt: {"tokens": [], "token_logprobs": [], "text_offset": []}  # type: ignore[method-assign]
    model = make(endpoint="completions")
    assert Capability.LOG_LIKELIHOOD not in model.capabilities
    with pytest.raises(MissingCapabilityError):
        model.log_likelihood(prompts(1), [" x"])


RUN = """
import sys
from pathlib import Path
from pydantic import SecretStr
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions
from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Prompt
model = OpenAICompatibleLanguageModel(
    ApiOptions(model="small", base_url=sys.argv[1], concurrency=4), cache=CompletionCache(Path(sys.argv[2]))
)
prompts = [Prompt(f"Post number {index}. Output:", f"example-{index}") for index in range(100)]
model.generate(prompts, range(2), SamplingOptions(), seed=1)
"""


def test_a_killed_run_asks_again_only_for_what_had_not_arrived(
    make: Make, server: MisbehavingServer, tmp_path: Path
) -> None:
    server.delay = 0.02
    run = subprocess.Popen([sys.executable, "-c", RUN, server.base_url, str(tmp_path / "cache.sqlite")])
    while len(server.bodies) < 40:
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    asked_before = -1
    while asked_before < len(server.bodies):  # what it had sent may still be arriving
        asked_before = len(server.bodies)
        time.sleep(0.3)
    asked_before = len(server.bodies)
    model = make()
    rows = model.generate(prompts(100), range(2), SamplingOptions(), seed=1)
    assert all(len(row) == 2 for row in rows)
    asked_again = len(server.bodies) - asked_before
    assert asked_again == 100 - model.spending.saved_answers // 2
    # Lost can only be what was under way: at most `concurrency` requests.
    assert 100 <= len(server.bodies) <= 104
    assert len({json.dumps(body["messages"]) for body in server.bodies}) == 100


def test_nothing_asked_is_nothing_sent(make: Make, server: MisbehavingServer) -> None:
    model = make(embedding_model="vectors")
    greedy = SamplingOptions(temperature=0)
    assert model.generate([], range(3), SamplingOptions(), seed=1) == []
    assert model.generate(prompts(2), range(0), SamplingOptions(), seed=1) == [[], []]
    assert model.generate(prompts(2), range(0), greedy, seed=1) == [[], []]
    assert model.choice_probabilities([], YES_NO) == []
    assert model.embed([]).shape[0] == 0
    assert server.bodies == []
