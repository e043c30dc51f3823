"""An answer that is not whole is never taken for one, and a prompt that cannot be answered ends no run."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ilf_kedro.language_models.openai.errors import ApiRefusedError, ApiUnavailableError
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.reasoning import strip_reasoning
from ilf_kedro.language_models.protocol import Choice, Completion, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.language_models.openai.conftest import Serve
from tests.support.server_replies import chat, likeliest

YES_NO = (Choice("Yes", ("Yes", " Yes")), Choice("No", ("No", " No")))
L = math.log


def generate(model: OpenAICompatibleLanguageModel, n_prompts: int = 1, n: int = 1, **sampling: Any) -> list[Completion]:
    prompts = [Prompt(f"Post {index}", f"e{index}") for index in range(n_prompts)]
    rows = model.generate(prompts, range(n), SamplingOptions(max_new_tokens=48, **sampling), seed=1)
    return [completion for row in rows for completion in row]


def ask(model: OpenAICompatibleLanguageModel, n_prompts: int = 1) -> list[Any]:
    return model.choice_probabilities([Prompt(f"Good? {index}", f"e{index}") for index in range(n_prompts)], YES_NO)


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
def test_what_failed_within_a_good_status_is_asked_again(serve: Serve, finish: str) -> None:
    model, server = serve(lambda body, n: (200, chat("A fine su", finish) if n == 0 else chat()))
    assert [each.text for each in generate(model)] == ["A fine summary."]
    assert len(server.bodies) == 2
    assert model.spending.faults == {"failed within an answer": 1}
    assert model.spending.usage.output_tokens == 10, "what was thrown away was paid for"


def test_an_answer_that_is_done_and_holds_nothing_is_asked_again(serve: Serve) -> None:
    model, server = serve(lambda body, n: (200, chat(None) if n == 0 else chat()))
    assert [each.text for each in generate(model)] == ["A fine summary."]
    assert len(server.bodies) == 2


@pytest.mark.parametrize("answer", [chat("A fi", "error"), chat(None)])
def test_one_prompt_that_the_server_always_fails_on_ends_no_run(serve: Serve, answer: object) -> None:
    model, server = serve(
        lambda body, n: (200, answer if "1" in body["messages"][0]["content"] else chat()), concurrency=1
    )
    assert [each.finish_reason for each in generate(model, 3)] == ["stop", "refused", "stop"]
    assert model.spending.faults == {"failed within an answer": 5, "refusal": 1}
    assert len(server.bodies) == 2 + 5


def test_of_two_choices_only_the_failed_one_is_asked_again(serve: Serve) -> None:
    def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
        answer = chat(f"Text {n}.", n=body["n"])
        if n == 0:
            answer["choices"][1] |= {"error": {"code": 502, "message": "Upstream died"}, "finish_reason": "error"}
        return 200, answer

    model, server = serve(reply)
    assert [each.text for each in generate(model, n=2)] == ["Text 0.", "Text 1."]
    assert [body["n"] for body in server.bodies] == [2, 1]


def test_an_error_in_a_good_status_is_shown_in_the_servers_words(serve: Serve) -> None:
    body = {"error": {"message": "Provider returned error", "code": 503, "metadata": {"raw": "GPU fell off"}}}
    model, server = serve(lambda _, n: (200, body), max_retries=2)
    with pytest.raises(ApiUnavailableError, match="GPU fell off"):
        generate(model)
    assert len(server.bodies) == 3


BLOCKED: list[tuple[int, object]] = [
    (200, chat("A fi", "content_filter")),
    (200, chat("", "SAFETY")),
    (200, chat("", "sensitive")),
    (200, {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0}}),
    (200, {"choices": None}),
    (200, {"error": {"code": 400, "message": "filtered", "type": "content_filter"}}),
    (400, {"error": {"message": "litellm.ContentPolicyViolationError: filtered", "type": None, "code": "400"}}),
    (400, {"error": {"message": "Input data may contain inappropriate content.", "code": "data_inspection_failed"}}),
    (403, {"error": {"message": "requires moderation and your input was flagged", "metadata": {"reasons": ["x"]}}}),
    (400, {"error": {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    (400, {"contentFilter": [{"level": 1, "role": "user"}], "error": {"code": "1301", "message": "..."}}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), BLOCKED)
def test_a_blocked_prompt_is_refused_and_counted_and_the_run_goes_on(serve: Serve, status: int, body: object) -> None:
    def reply(asked: dict[str, Any], n: int) -> tuple[int, object]:
        if "1" in asked["messages"][0]["content"]:
            return status, body
        return 200, chat("Yes", logprobs=likeliest({"Yes": L(0.6), "No": L(0.3)}))

    model, server = serve(reply, cached=True)
    found = generate(model, 3)
    assert [each.finish_reason for each in found] == ["stop", "refused", "stop"]
    assert found[1].text == ""
    assert model.spending.faults["refusal"] == 1
    answers = ask(model, 3)
    assert [each.defined for each in answers] == [True, False, True]
    assert math.isnan(answers[1].probability(0))
    asked_before = len(server.bodies)
    assert generate(model, 3) == found
    assert len(server.bodies) == asked_before, "a refusal is kept like any answer"


def test_a_text_that_is_blocked_among_others_costs_only_its_own_vector(serve: Serve) -> None:
    def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
        if "bad" in body["input"]:
            return 400, {"error": {"message": "flagged", "code": "content_filter"}}
        return 200, {"data": [{"index": i, "embedding": [3.0, 4.0]} for i in range(len(body["input"]))]}

    model, _ = serve(reply, embedding_model="e")
    vectors = model.embed(["a", "bad", "c"])
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [np.nan, np.nan], [0.6, 0.8]], rtol=1e-6)


def test_tokens_used_up_in_reasoning_are_named_with_the_remedy(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    model, _ = serve(lambda body, n: (200, chat(None, "length", reasoning_content="Okay, the user wants")))
    with caplog.at_level(logging.WARNING):
        (found,) = generate(model)
    assert (found.text, found.finish_reason) == ("", "length")
    assert model.spending.faults == {"nothing but reasoning": 1}
    assert "used up their tokens in reasoning" in caplog.text
    assert "extra_body" in caplog.text


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("<think>\nOkay.\n</think>\n\nA fine summary.", ("A fine summary.", True)),
        ("Okay, so.\n</think>\nA fine summary.", ("A fine summary.", True)),  # the template wrote the opening tag
        ("[THINK]Hm[/THINK]A fine summary.", ("A fine summary.", True)),
        ("<thinking>Hm", ("", True)),
        ("A fine summary.", ("A fine summary.", False)),
        ("He said <think>so</think>.", ("He said <think>so</think>.", False)),
        ("x < y", ("x < y", False)),
    ],
)
def test_thoughts_are_taken_from_the_beginning_of_a_text(text: str, stripped: tuple[str, bool]) -> None:
    assert strip_reasoning(text) == stripped


def test_thoughts_are_taken_out_before_the_stop_text_is_looked_for(serve: Serve) -> None:
    text = "<think>\nOkay.\n</think>\n\nA fine summary.\nMore"
    model, _ = serve(lambda body, n: (200, chat(text)))
    assert generate(model, stop=("\n",))[0].text == "A fine summary."
    model, _ = serve(lambda body, n: (200, chat(text)), strip_reasoning=False)
    assert generate(model)[0].text == text


def test_an_answer_whose_choices_are_hardly_covered_is_undefined(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    top: dict[str, float | None] = {"<think>": L(0.99), "Yes": L(0.004), "No": L(0.001)}
    model, _ = serve(lambda body, n: (200, chat("<think>", "length", logprobs=likeliest(top), usage=(5, 1))))
    with caplog.at_level(logging.WARNING):
        (answer,) = ask(model)
    assert not answer.defined
    assert answer.covered == pytest.approx(0.005)
    assert "1 of 1 answers are undefined" in caplog.text
    assert "'<think>' 1 times" in caplog.text
    assert "reasons before it answers" in caplog.text
    model, _ = serve(lambda body, n: (200, chat("<think>", logprobs=likeliest(top))), least_covered=0.004)
    assert ask(model)[0].probability(0) == pytest.approx(0.8)


def test_a_server_that_never_gives_log_probabilities_is_refused_with_the_remedy(serve: Serve) -> None:
    model, server = serve(lambda body, n: (200, chat("Yes")), concurrency=1)
    with pytest.raises(ApiRefusedError, match="choose a model that gives log-probabilities"):
        ask(model, 5)
    assert 3 <= len(server.bodies) < 15  # the next prompt may have been begun
    model, _ = serve(lambda body, n: (200, chat(None, "length", logprobs={"content": []})))
    with pytest.raises(ApiRefusedError, match="reasons before it answers"):
        ask(model)


def test_one_reply_without_log_probabilities_does_not_end_a_job(serve: Serve) -> None:
    def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
        silent = " 2" in body["messages"][0]["content"]
        return 200, chat("Yes", logprobs=None if silent else likeliest({"Yes": L(0.6), "No": L(0.3)}))

    model, server = serve(reply, concurrency=1)
    assert [each.defined for each in ask(model, 4)] == [True, True, False, True]
    assert model.spending.faults["no log-probabilities"] == 3
    assert len(server.bodies) == 6


MASKED: list[tuple[dict[str, Any], float]] = [
    (likeliest({"Yes": L(0.6), "No": L(0.3), "x": None}), 2 / 3),
    (likeliest({"Yes": L(0.6), "No": L(0.3), "x": -math.inf}), 2 / 3),
    (likeliest({"Yes": L(0.6), "No": L(0.3), "x": math.nan}), 2 / 3),
    (likeliest({"Yes": L(0.6), "No": L(0.3), "x": -9999.0}), 2 / 3),
    (likeliest({"Yes": L(0.6), "No": L(0.3)}, bytes=[300, -1]), 2 / 3),
    (likeliest({"Yes": L(0.6), "No": L(0.3)}, logprob=None), 2 / 3),
    ({"tokens": ["Yes"], "token_logprobs": [L(0.6)], "top_logprobs": [{"Yes": L(0.6), "No": L(0.3), "": None}]}, 2 / 3),
]


@pytest.mark.parametrize(("logprobs", "p_yes"), MASKED)
def test_gaps_in_the_likeliest_tokens_lose_nothing_else(serve: Serve, logprobs: object, p_yes: float) -> None:
    model, server = serve(lambda body, n: (200, json.dumps(chat("Yes", logprobs=logprobs))))
    assert ask(model)[0].probability(0) == pytest.approx(p_yes)
    assert len(server.bodies) == 1


def test_a_text_is_kept_where_its_log_probabilities_have_gaps(serve: Serve) -> None:
    tokens = [{"token": "A", "logprob": -0.1, "top_logprobs": None}, {"token": " b", "logprob": None}]
    model, server = serve(
        lambda body, n: (200, chat("A b", logprobs={"content": tokens})), token_log_probabilities=True
    )
    (found,) = generate(model)
    assert (found.text, found.token_log_probabilities) == ("A b", None)
    assert model.spending.faults == {"no log-probabilities": 1}
    assert len(server.bodies) == 1


SHAPES: list[tuple[object, str]] = [
    (chat([{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "A "}, {"text": "one."}]), "A one."),
    ('{"choices":[{"index":0,"message":{"content":"Hi \\ud83d"},"finish_reason":"stop"}]}', "Hi \ufffd"),
    (b'{"choices":[{"message":{"content":"Hi \xff"},"finish_reason":"stop"}]}', "Hi \ufffd"),
    ({"choices": [{"index": None, "message": {"content": "ok"}, "finish_reason": None}]}, "ok"),
    ({"choices": [{"message": {"content": "ok"}}], "usage": None}, "ok"),
    ({"choices": [{"message": {"content": "ok"}}], "usage": "none"}, "ok"),
    ("\n\n  " + json.dumps(chat("ok")), "ok"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "text"), SHAPES)
def test_a_good_text_in_an_odd_shape_is_kept_at_the_first_attempt(serve: Serve, body: object, text: str) -> None:
    model, server = serve(lambda _, n: (200, body))
    assert [each.text for each in generate(model)] == [text]
    assert len(server.bodies) == 1


def test_half_an_emoji_in_a_prompt_is_replaced(serve: Serve) -> None:
    model, server = serve(lambda body, n: (200, chat()))
    model.generate([Prompt("Post \ud83d x", "e")], range(1), SamplingOptions(), seed=1)
    assert server.bodies[0]["messages"][0]["content"] == "Post \ufffd x"


@pytest.mark.parametrize("kind", ["in order", "reversed", "all 0", "null", "left out"])
def test_vectors_are_of_their_own_texts_whatever_the_indices(serve: Serve, kind: str) -> None:
    def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
        vectors = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 1.0]}
        data: list[dict[str, Any]] = [{"index": i, "embedding": vectors[text]} for i, text in enumerate(body["input"])]
        for item in data:
            if kind in ("all 0", "null"):
                item["index"] = 0 if kind == "all 0" else None
            if kind == "left out":
                del item["index"]
        return 200, {"data": data[::-1] if kind == "reversed" else data, "usage": {"prompt_tokens": 3}}

    model, _ = serve(reply, embedding_model="e")
    np.testing.assert_array_equal(model.embed(["a", "b", "c"]), np.eye(3))


def test_vectors_whose_texts_cannot_be_told_are_asked_for_again(serve: Serve) -> None:
    def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
        indices = [0, 1, 1] if n == 0 else [0, 1, 2]
        return 200, {
            "data": [{"index": i, "embedding": [float(i == 0), float(i == 1), float(i == 2)]} for i in indices]
        }

    model, server = serve(reply, embedding_model="e")
    np.testing.assert_array_equal(model.embed(["a", "b", "c"]), np.eye(3))
    assert len(server.bodies) == 2


def test_exact_choices_are_asked_by_the_tokens_of_their_spellings(serve: Serve, httpserver: HTTPServer) -> None:
    """The likeliest tokens would be others: 0.9 of the probability is on words that are no choice."""
    vocabulary = {"Yes": 7, " Yes": 8, "No": 9, " No": 10, "Why": 11}
    p = {7: 0.05, 8: 0.01, 9: 0.03, 10: 0.01, 11: 0.9}
    spelled = {token: text for text, token in vocabulary.items()}

    def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
        assert "top_logprobs" not in body
        top: dict[str, float | None] = {spelled[token]: L(p[token]) for token in body["logprob_token_ids"]}
        return 200, chat("Why", logprobs=likeliest({**top, "Why": L(0.9)}, "Why"))

    def tokenize(request: Request) -> Response:
        body = request.get_json()
        assert not body["add_special_tokens"]
        return Response(json.dumps({"tokens": [vocabulary[body["prompt"]]]}), content_type="application/json")

    model, server = serve(reply, exact_choices=True)
    httpserver.expect_request("/tokenize").respond_with_handler(tokenize)
    (answer,) = ask(model)
    assert sorted(server.bodies[0]["logprob_token_ids"]) == [7, 8, 9, 10]
    assert answer.probability(0) == pytest.approx(0.06 / 0.1)
    assert answer.covered == pytest.approx(0.1)
    assert answer.bound == pytest.approx(0, abs=1e-9)


def test_a_server_without_a_tokenizer_is_named_where_exact_choices_are_asked(serve: Serve) -> None:
    model, _ = serve(lambda body, n: (200, chat()), exact_choices=True)
    with pytest.raises((ApiRefusedError, ApiUnavailableError), match=r"http"):
        ask(model)
