"""What a server says in an error reaches the user, with the remedy, and what cannot help is not tried again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from ilf_kedro.language_models.openai.errors import ApiRefusedError, ApiUnavailableError
from ilf_kedro.language_models.openai.server_words import read_server_words
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.language_models.openai.conftest import Serve
from tests.support.server_replies import chat


def generate(model: Any, n: int = 1) -> list[Any]:
    rows: list[Any] = model.generate([Prompt("Post", "e")], range(n), SamplingOptions(stop=("END",)), seed=1)
    return rows[0]


UNKNOWN = {"error": {"code": 400, "message": "Unknown name 'seed'", "status": "INVALID_ARGUMENT"}}
SHAPES = [
    ('{"error": {"message": "No such thing.", "code": "nope"}}', "No such thing"),
    (json.dumps([UNKNOWN]), "Unknown name 'seed'"),
    ('{"error": "model overloaded"}', "model overloaded"),
    ('{"detail": "Not enough memory"}', "Not enough memory"),
    ('{"detail": [{"loc": ["body", "n"], "msg": "extra fields not permitted"}]}', "body.n: extra fields not permitted"),
    ('{"message": "Unauthorized"}', "Unauthorized"),
    ("upstream connect error", "upstream connect error"),
    ("<html><head><style>p{}</style></head><body><h1>502 Bad Gateway</h1></body></html>", "502 Bad Gateway"),
    (
        '{"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\\"error\\": '
        '{\\"message\\": \\"top_k is not allowed\\"}}", "provider_name": "Acme"}}}',
        "Provider returned error; top_k is not allowed",
    ),
    ('{"error": {"message": "busy"}, "message": "the server is busy"}', "the server is busy"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "words"), SHAPES)
def test_the_servers_words_are_found_in_whatever_shape(body: str, words: str) -> None:
    assert read_server_words(body).message == words


@pytest.mark.parametrize(("body", "words"), SHAPES)
def test_the_servers_words_reach_the_user(serve: Serve, body: str, words: str) -> None:
    model, _ = serve(lambda _, n: (422, body))
    with pytest.raises(ApiRefusedError) as caught:
        generate(model)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Unsupported parameter: 'temperature' is not supported with this model.", "`omit: [temperature]`"),
        ("temperature and top_p cannot both be specified", "`omit: [top_p]`"),
        ("Extra inputs are not permitted: seed", "`omit: [seed]`"),
        ("'stop' is not supported", "`omit: [stop]`"),
        ("Only one completion is supported: n must be 1", "`omit: [n]`"),
        ("Use 'max_completion_tokens' instead of 'max_tokens'", "`max_tokens_parameter`"),
        ("I do not like this request", "`omit` leaves out any of"),
    ],
)
def test_a_refused_option_is_named_with_the_way_to_leave_it_out(serve: Serve, message: str, remedy: str) -> None:
    model, server = serve(lambda _, n: (400, {"error": {"message": message}}))
    with pytest.raises(ApiRefusedError) as caught:
        generate(model)
    assert remedy in str(caught.value)
    assert len(server.bodies) == 1


def test_options_are_left_out_and_others_given(serve: Serve) -> None:
    model, server = serve(
        lambda body, n: (200, chat(f"Text {n}. END more")),
        omit=("temperature", "top_p", "n", "stop", "seed", "max_tokens"),
        extra_body={"reasoning_effort": "minimal", "max_tokens": 5},
        concurrency=1,
    )
    assert [each.text for each in generate(model, n=3)] == ["Text 0. ", "Text 1. ", "Text 2. "]
    for body in server.bodies:
        assert body.keys() == {"model", "messages", "reasoning_effort", "max_tokens"}
        assert body["max_tokens"] == 5


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}),
        (402, {"message": "Insufficient Balance"}),
    ],
)  # fmt: skip
def test_an_empty_account_is_not_asked_again(serve: Serve, status: int, error: dict[str, str]) -> None:
    model, server = serve(lambda _, n: (status, {"error": error}))
    with pytest.raises(ApiRefusedError, match="no credit left"):
        generate(model)
    assert len(server.bodies) == 1


def test_other_answers_of_too_many_requests_are_waited_out(serve: Serve) -> None:
    bodies: list[object] = ["<html>Too many</html>", [{"error": {"code": 429, "message": "Resource exhausted"}}]]
    model, server = serve(lambda _, n: (429, bodies[n]) if n < 2 else (200, chat()))
    assert generate(model)[0].text == "A fine summary."
    assert len(server.bodies) == 3


def test_a_redirect_to_another_server_takes_no_prompt_along(serve: Serve) -> None:
    with HTTPServer(host="127.0.0.1") as other:
        target = other.url_for("/v1/chat/completions")
        model, server = serve(lambda _, n: (307, "", {"Location": target}) if n < 2 else (200, chat()))
        assert generate(model)[0].text == "A fine summary.", "it may be over by the next attempt"
        assert model.spending.faults == {"redirect to another server": 2}
        model, server = serve(lambda _, n: (307, "", {"Location": target}))
        with pytest.raises(ApiUnavailableError, match=r"another server, .* was not followed.*base_url"):
            generate(model)
        assert other.log == []
    assert len(server.bodies) == 5


def test_a_redirect_on_the_same_server_is_followed(serve: Serve, httpserver: HTTPServer) -> None:
    model, _ = serve(lambda _, n: (307, "", {"Location": "/v2/chat/completions"}))
    httpserver.expect_request("/v2/chat/completions").respond_with_json(chat())
    assert generate(model)[0].text == "A fine summary."
