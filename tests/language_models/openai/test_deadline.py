"""An attempt is over at its deadline, however a server drips: through its headers, its body or its handshake."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from ilf_kedro.language_models.openai.errors import ApiUnavailableError
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.support.server_replies import chat

BODY = json.dumps(chat()).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
DRIPS = {
    "status line": (b"", HEAD),
    "a header without end": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x" * 1000),
    "one header after another": (b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n" * 200),
    "replies that announce others": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
    "body": (HEAD, BODY),
    "no end of a body in chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 200),
}


@contextmanager
def dripping(at_once: bytes, slowly: bytes, pause: float) -> Iterator[str]:
    """Serve each connection the first bytes at once and the others one by one; yields the address."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(at_once)
            for place in range(len(slowly)):
                if ended.wait(pause):
                    return
                connection.sendall(slowly[place : place + 1])

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        ended.set()


def generate(address: str, seconds: float) -> tuple[OpenAICompatibleLanguageModel, str]:
    options = ApiOptions(model="m", base_url=f"http://{address}/v1", timeout_seconds=seconds, max_retries=0)
    model = OpenAICompatibleLanguageModel(options)
    return model, model.generate([Prompt("Post", "e")], range(1), SamplingOptions(), seed=1)[0][0].text


@pytest.mark.parametrize("what", DRIPS)
def test_a_server_that_drips_is_given_up_at_the_deadline(what: str) -> None:
    with dripping(*DRIPS[what], pause=0.05) as address:
        began = time.monotonic()
        with pytest.raises(ApiUnavailableError, match=r"no whole answer in 0\.5 seconds"):
            generate(address, 0.5)
        assert 0.4 < time.monotonic() - began < 2


def test_a_server_that_drips_fast_enough_is_heard_out() -> None:
    with dripping(b"", HEAD + BODY, pause=0.002) as address:
        _, text = generate(address, 20)
        assert text == "A fine summary."


def test_a_proxy_that_drips_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with dripping(*DRIPS["status line"], pause=0.05) as address:
        monkeypatch.setenv("http_proxy", f"http://{address}")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")  # pragma: allowlist secret
        began = time.monotonic()
        with pytest.raises(ApiUnavailableError, match=r"no whole answer in 0\.5 seconds"):
            generate("server.invalid", 0.5)
        assert time.monotonic() - began < 2


def test_a_handshake_that_drips_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up")  # pragma: allowlist secret
    options = {"model": "m", "timeout_seconds": 0.5, "max_retries": 0}
    with dripping(b"\x16\x03\x03\x40\x00", b"\x02" * 1000, pause=0.05) as address:
        model = OpenAICompatibleLanguageModel(ApiOptions(base_url=f"https://{address}/v1", **options))
        began = time.monotonic()
        with pytest.raises(ApiUnavailableError):
            model.generate([Prompt("Post", "e")], range(1), SamplingOptions(), seed=1)
        assert time.monotonic() - began < 2
