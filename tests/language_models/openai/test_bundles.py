"""Several prompts in one request: the same answers as one by one, whatever the server leaves out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import pytest

from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions, Price
from ilf_kedro.language_models.protocol import Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.language_models.openai.conftest import Serve

SAMPLING = SamplingOptions(max_new_tokens=20)
YES_NO = (Choice("Yes", ("Yes",)), Choice("No", ("No",)))
PROMPTS = [Prompt(f"Post {index}", f"e{index}") for index in range(10)]
Change = Callable[[list[dict[str, Any]], int], list[dict[str, Any]]]


def completions(change: Change = lambda choices, n: choices) -> Callable[[dict[str, Any], int], tuple[int, object]]:
    """Answer each prompt of a list, or the one, with texts of its own; `change` alters the n-th answer's choices."""

    def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
        asked = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        if "Post 7" in asked and change is blocks_one:
            return 400, {"error": {"message": "flagged", "code": "content_filter"}}
        size = body["n"]
        choices = [choice(body, text, place * size + i, i) for place, text in enumerate(asked) for i in range(size)]
        given = change(choices, n)
        return 200, {
            "choices": given,
            "usage": {"prompt_tokens": 3 * len(asked), "completion_tokens": 5 * len(given)},
        }

    return reply


def choice(body: dict[str, Any], text: str, index: int, sample: int) -> dict[str, Any]:
    p_yes = 0.1 + 0.07 * int(text.split()[1])
    top = {"Yes": math.log(p_yes), "No": math.log(0.9 - p_yes)}
    logprobs = {"tokens": ["Yes"], "token_logprobs": [top["Yes"]], "top_logprobs": [top], "text_offset": [0]}
    written = f"[{text}] sample {sample} {hashlib.sha256(text.encode()).hexdigest()[:4]}"
    shown = logprobs if body.get("logprobs") else None
    return {"index": index, "text": written, "finish_reason": "stop", "logprobs": shown}


def blocks_one(choices: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    return choices


def made(serve: Serve, change: Change, prompts_per_request: int = 4) -> tuple[OpenAICompatibleLanguageModel, Any]:
    options = {"endpoint": "completions", "prompts_per_request": prompts_per_request, "concurrency": 1}
    return serve(completions(change), cached=True, prices={"m": Price(input=1, output=1)}, **options)


def texts(model: OpenAICompatibleLanguageModel) -> list[list[str]]:
    return [[each.text for each in row] for row in model.generate(PROMPTS, range(2), SAMPLING, seed=1)]


def expected() -> list[list[str]]:
    body: dict[str, Any] = {}
    return [[choice(body, prompt.text, 0, sample)["text"] for sample in range(2)] for prompt in PROMPTS]


def test_answers_are_those_of_single_prompts_in_fewer_requests(serve: Serve) -> None:
    model, server = made(serve, lambda choices, n: choices)
    assert texts(model) == expected()
    assert [len(body["prompt"]) for body in server.bodies] == [4, 4, 2]
    assert model.spending.faults == {}
    assert (model.spending.usage.input_tokens, model.spending.usage.output_tokens) == (3 * 10, 5 * 20)
    answers = model.choice_probabilities(PROMPTS, YES_NO)
    assert [each.probability(0) for each in answers] == pytest.approx([(0.1 + 0.07 * i) / 0.9 for i in range(10)])
    asked = len(server.bodies)
    again, _ = made(serve, lambda choices, n: choices)
    assert texts(again) == expected()
    assert again.spending.requests == 0
    assert again.spending.saved_usage.output_tokens == 5 * 20
    assert asked == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda choices, n: choices[::-1],
        lambda choices, n: choices[:3] if n == 0 else choices,  # one and a half of four prompts
        lambda choices, n: choices[4:] if n == 0 else choices,
        lambda choices, n: [{**each, "index": 0} for each in choices] if n == 0 else choices,
        lambda choices, n: (
            [{**each, "finish_reason": "error"} for each in choices[:2]] + choices[2:] if n == 0 else choices
        ),
    ],
    ids=["reversed", "cut short", "first ones missing", "indices all 0", "one prompt failed"],
)
def test_what_is_left_out_is_asked_for_again(serve: Serve, change: Change) -> None:
    model, server = made(serve, change)
    for prompt, row in zip(PROMPTS, texts(model), strict=True):
        assert len(row) == 2
        assert all(text.startswith(f"[{prompt.text}] ") for text in row)
    assert len(server.bodies) <= 3 + 3


def test_a_blocked_prompt_costs_only_its_own_answer(serve: Serve) -> None:
    model, _ = made(serve, blocks_one)
    rows = model.generate(PROMPTS, range(2), SAMPLING, seed=1)
    assert [row[0].finish_reason for row in rows] == ["stop"] * 7 + ["refused"] + ["stop"] * 2
    assert [row[0].text for row in rows[8:]] == [row[0] for row in expected()[8:]]
    assert model.spending.faults["refusal"] == 2


def test_a_chat_holds_one_prompt() -> None:
    with pytest.raises(ValueError, match="prompts_per_request needs `endpoint: completions`"):
        ApiOptions(model="m", base_url="http://localhost/v1", prompts_per_request=2)
