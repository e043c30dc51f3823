"""No waiting between attempts, and a server that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai._base_client
import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai import client
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions
from tests.support.misbehaving_server import KEY
from tests.support.server_replies import Replies, Reply

Serve = Callable[..., tuple[OpenAICompatibleLanguageModel, Replies]]


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.005)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.02)
    monkeypatch.setattr(client, "RETRY_SECONDS", 0.005)
    monkeypatch.setattr(client, "MAX_RETRY_SECONDS", 0.02)


@pytest.fixture
def serve(httpserver: HTTPServer, tmp_path: Path, short_delays: None) -> Serve:
    """Return a function from a reply and options to a model of a server that replies so, and what it was asked."""

    def start(reply: Reply, *, cached: bool = False, **options: Any) -> tuple[OpenAICompatibleLanguageModel, Replies]:
        replies = Replies(reply)
        httpserver.clear()
        for path in ("chat/completions", "completions", "embeddings"):
            httpserver.expect_request(f"/v1/{path}", method="POST").respond_with_handler(replies)
        model = OpenAICompatibleLanguageModel(
            ApiOptions(**{"model": "m", "base_url": httpserver.url_for("/v1"), "max_retries": 4, **options}),
            credentials=ApiCredentials(api_key=SecretStr(KEY)),
            cache=CompletionCache(tmp_path / "cache.sqlite") if cached else None,
        )
        return model, replies

    return start
