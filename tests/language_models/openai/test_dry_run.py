"""What asking would take, against what a server is asked when it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ilf_kedro.language_models.openai.dry_run import DryApiModel
from ilf_kedro.language_models.openai.options import Price
from ilf_kedro.language_models.protocol import Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.language_models.openai.conftest import Serve
from tests.support.server_replies import chat, likeliest

YES_NO = (Choice("Yes", ("Yes",)), Choice("No", ("No",)))
SAMPLING = SamplingOptions(max_new_tokens=20)


def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
    if "input" in body:
        return 200, {"data": [{"index": i, "embedding": [3.0, 4.0]} for i in range(len(body["input"]))]}
    top: dict[str, float | None] = {"Yes": math.log(0.6), "No": math.log(0.3)}
    logprobs = likeliest(top) if body.get("logprobs") else None
    return 200, chat(f"Text {n}.", n=body["n"], logprobs=logprobs, usage=(9, body["n"] * body["max_tokens"]))


def prompts(*numbers: int) -> list[Prompt]:
    return [Prompt(f"Post number {number} of many", f"e{number}") for number in numbers]


def ask(model: Any, *numbers: int) -> tuple[Any, Any, Any]:
    return (
        model.generate(prompts(*numbers), range(3), SAMPLING, seed=1),
        model.choice_probabilities(prompts(*numbers), YES_NO),
        model.embed([f"text {number}" for number in numbers]),
    )


def test_it_counts_what_is_then_asked_and_asks_nothing(serve: Serve) -> None:
    prices = {"m": Price(input=1, output=2), "e": Price(input=1, output=0)}
    model, server = serve(reply, cached=True, samples_per_request=2, embedding_model="e", prices=prices)
    dry = DryApiModel(model)
    ask(dry, 0, 1, 2)
    ask(dry, 2, 1, 0)  # what was counted once is in the cache by then
    assert server.bodies == []
    ask(model, 0, 1, 2)
    assert dry.needs.requests == len(server.bodies) == 3 * 2 + 3 + 1
    assert dry.needs.usage.output_tokens == sum(body.get("n", 0) * body.get("max_tokens", 0) for body in server.bodies)
    assert dry.needs.usd == pytest.approx(dry.needs.usage.input_tokens * 1e-6 + dry.needs.usage.output_tokens * 2e-6)
    assert dry.needs.cached == 0


def test_what_the_cache_has_is_its_answer_and_costs_nothing(serve: Serve) -> None:
    model, server = serve(reply, cached=True, embedding_model="e")
    texts, choices, vectors = ask(model, 0, 1)
    asked = len(server.bodies)
    dry = DryApiModel(model)
    dry_texts, dry_choices, dry_vectors = ask(dry, 0, 1)
    assert (dry_texts, dry_choices) == (texts, choices)
    np.testing.assert_array_equal(dry_vectors, vectors)
    assert (dry.needs.requests, dry.needs.cached) == (0, 2 * 3 + 2 + 2)
    mixed, _, _ = ask(dry, 1, 2)
    assert mixed[0] == texts[1]
    assert (dry.needs.requests, dry.needs.cached) == (3, 2 * 3 + 2 + 2)
    assert len(server.bodies) == asked


def test_texts_that_are_made_up_differ_and_are_as_long_as_may_be(serve: Serve) -> None:
    model, _ = serve(reply)
    rows = DryApiModel(model).generate(prompts(0, 1), range(4), SamplingOptions(max_new_tokens=40), seed=1)
    texts = [completion.text for row in rows for completion in row]
    assert len(set(texts)) == 8
    assert all(25 < len(text.split()) <= 40 for text in texts)
