"""What a forecast finds that a run would ask, against what the same nodes then ask; nothing is asked or computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.local.model import LocalLanguageModel, load_model_source
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions, Price
from ilf_kedro.language_models.protocol import Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from ilf_kedro.wiring.forecast import RunForecast, forecast_run
from tests.support.server_replies import Replies, chat, likeliest

YES_NO = (Choice("Yes", ("Yes",)), Choice("No", ("No",)))
PRICE = Price(input=10, output=20)


def reply(body: dict[str, Any], n: int) -> tuple[int, object]:
    logprobs = likeliest({"Yes": -0.5, "No": -1.0}) if body.get("logprobs") else None
    n_read = len(body["messages"][0]["content"]) // 4
    return 200, chat("Yes", logprobs=logprobs, n=body["n"], usage=(n_read, body["n"]))


def write(base_model: Any, topics: list[str]) -> list[str]:
    prompts = [Prompt(f"Write about {topic}.", topic) for topic in topics]
    rows = base_model.generate(prompts, range(2), SamplingOptions(max_new_tokens=6), seed=1)
    return [completion.text for row in rows for completion in row]


def judge_texts(judge: Any, texts: list[str]) -> list[float]:
    prompts = [Prompt(f"A good text?\n\n{text}\n\nAnswer:", str(place)) for place, text in enumerate(texts)]
    return [answer.covered for answer in judge.choice_probabilities(prompts, YES_NO)]


def fail(scores: list[float]) -> list[float]:
    raise AssertionError("no question depends on it")


JOB = Pipeline(
    [
        Node(write, ["base_model", "topics"], "texts", name="write"),
        Node(judge_texts, ["judge", "texts"], "scores", name="judge_texts"),
        Node(fail, "scores", "page", name="write_page"),
        Node(judge_texts, ["judge", "lost"], "others", name="judge_others"),
    ]
)


def models(httpserver: HTTPServer, root: Path, directory: Path) -> tuple[dict[str, Any], Replies]:
    replies = Replies(reply)
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(replies)
    options = ApiOptions(model="m", base_url=httpserver.url_for("/v1"), prices={"m": PRICE}, requests_per_minute=60_000)
    cache = CompletionCache(root / "cache.sqlite")
    judge = OpenAICompatibleLanguageModel(
        options, name="large", credentials=ApiCredentials(api_key=SecretStr("key")), cache=cache
    )
    local = LocalLanguageModel(load_model_source("tiny", directory, format="chat"), cache=cache)
    return {"base_model": local, "judge": judge, "topics": ["cats", "a house by the sea"]}, replies


def tell(data: dict[str, Any]) -> RunForecast:
    return forecast_run(JOB, data.__getitem__)


def test_a_forecast_is_near_what_the_run_asks_and_nothing_once_it_is_done(
    httpserver: HTTPServer, tmp_path: Path, tiny_model_directory: Path
) -> None:
    data, replies = models(httpserver, tmp_path, tiny_model_directory)
    told = tell(data)
    assert replies.bodies == []
    assert not (tmp_path / "cache.sqlite").exists()
    assert data["base_model"].statistics.n_computed == 0

    judge_texts(data["judge"], write(data["base_model"], data["topics"]))
    needs, spent = told.models["judge"].needs, data["judge"].spending
    assert needs.requests == len(replies.bodies) == 4
    assert needs.usage.output_tokens == spent.usage.output_tokens == 4, "a choice is one token"
    assert needs.usage.input_tokens == pytest.approx(spent.usage.input_tokens, rel=0.6)
    assert needs.usd == pytest.approx(spent.usd, rel=0.6)

    again = tell(data).models["judge"].needs
    assert (again.requests, again.usd, again.cached) == (0, 0, 4), "the texts of the local model are in the cache too"
    assert len(replies.bodies) == 4


def test_what_cannot_be_told_is_named_and_what_asks_nobody_is_not_run(
    httpserver: HTTPServer, tmp_path: Path, tiny_model_directory: Path
) -> None:
    data, _ = models(httpserver, tmp_path, tiny_model_directory)
    told = "\n".join(tell(data).lines())
    assert "judge_others: asks judge, and lacks what it would ask about (lost:" in told
    assert "write_page" not in told
    assert "In all: 4 requests" in told
