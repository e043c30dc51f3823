"""A small OpenAI-compatible server that misbehaves on purpose, over real HTTP."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-planted-0123456789abcdef"
TRANSIENT = (
    "429", "429 retry-after", "500", "503", "drop", "slow", "cut body", "cut json", "html", "empty", "fewer", "failed",
    "error in 200",
)  # fmt: skip
# behaviour of the n-th attempt (from 0) at one request; None is a good answer
Script = Callable[[dict[str, Any], int], str | None]


def good(body: dict[str, Any], attempt: int) -> None:
    """Always answer."""


def fault_at_random(body: dict[str, Any], attempt: int) -> str | None:
    """30 % of all attempts fail; 2 % of the good ones are refusals or cut by length."""
    digest = hashlib.sha256(f"{prompt_of(body)}|{body['n']}|{attempt}".encode()).digest()
    if digest[0] < 0.3 * 256:
        return TRANSIENT[digest[1] % len(TRANSIENT)]
    return {0: "refusal", 1: "length"}.get(digest[1] % 100)


def prompt_of(body: dict[str, Any]) -> str:
    if "prompt" in body:
        return str(body["prompt"])
    if "input" in body:
        return "".join(body["input"])
    return str(body["messages"][-1]["content"])


def text_for(body: dict[str, Any], index: int) -> str:
    sample = "greedy" if body.get("temperature") == 0 else f"{body.get('seed')}|{index}"
    digest = hashlib.sha256(f"{prompt_of(body)}|{sample}".encode()).hexdigest()
    return f"output {digest[:12]} of {prompt_of(body)[:20]}"


class MisbehavingServer:
    """Counts what it was asked, what it served and what it would bill."""

    def __init__(self) -> None:
        self.script: Script = good
        self.top: dict[str, float] = {"Yes": math.log(0.6), " No": math.log(0.3), "Maybe": math.log(0.05)}
        self.echo_offset = 0.0  # added to echoed log-probabilities: a server whose echo is wrong
        self.slow_seconds = 1.0
        self.delay = 0.0
        self.lock = threading.Lock()
        self.attempts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str] = set()
        self.billed = [0, 0]
        self.in_flight = self.most_in_flight = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                server.handle(self, content)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *args: object) -> None:
                pass

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def handle(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        body = json.loads(content)
        with self.lock:
            identity = handler.path + content.decode()
            attempt = self.attempts[identity]
            self.attempts[identity] += 1
            self.bodies.append(body)
            self.times.append(time.monotonic())
            self.keys.add(handler.headers["Authorization"])
            behaviour = self.script(body, attempt)
            if behaviour == "fewer" and body.get("n", 1) == 1:
                behaviour = None
            if behaviour:
                self.faults[behaviour] += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        time.sleep(self.delay)
        with self.lock:  # before the answer: whoever has it may ask again at once
            self.in_flight -= 1
        if behaviour and behaviour[:3] in ("400", "401", "403", "404", "429", "500", "503"):
            self._fail(handler, behaviour)
            return
        payload = self._payload(handler.path, body, behaviour)
        if "usage" in payload:
            with self.lock:
                self.billed[0] += payload["usage"]["prompt_tokens"]
                self.billed[1] += payload["usage"].get("completion_tokens", 0)
        self._send(handler, json.dumps(payload).encode(), behaviour)

    def _fail(self, handler: BaseHTTPRequestHandler, behaviour: str) -> None:
        status = int(behaviour[:3])
        error: dict[str, object] = {"message": f"failure {behaviour}", "type": "error", "code": None}
        if status == 401:
            error = {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}
        if status == 404:
            error = {"message": "The model does not exist", "code": "model_not_found"}
        if behaviour == "400 context":
            error = {"message": "This model's maximum context length is 10 tokens", "code": "context_length_exceeded"}
        if behaviour == "400 filter":
            error = {"message": "The prompt triggered the content management policy", "code": "content_filter"}
        if behaviour == "429 quota":
            error = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
        content = json.dumps({"error": error}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        if behaviour == "429 retry-after":
            handler.send_header("retry-after", "0.05")
        elif status in (429, 500, 503):
            handler.send_header("retry-after-ms", "0")  # not above 0: the client takes its own delay
        handler.end_headers()
        handler.wfile.write(content)

    def _send(self, handler: BaseHTTPRequestHandler, content: bytes, behaviour: str | None) -> None:
        if behaviour == "drop":
            handler.close_connection = True
            handler.connection.close()
            return
        if behaviour == "slow":
            time.sleep(self.slow_seconds)
            handler.close_connection = True
            return
        if behaviour == "html":
            content = b"<html><body>Bad gateway</body></html>"
        if behaviour == "cut json":
            content = content[: len(content) // 2]
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if behaviour == "cut body":
            content = content[: len(content) // 2]
            handler.close_connection = True
        handler.wfile.write(content)

    def _payload(self, path: str, body: dict[str, Any], behaviour: str | None) -> dict[str, Any]:
        prompt = prompt_of(body)
        if behaviour == "error in 200":
            return {"error": {"message": "Provider returned error", "code": 502}}
        if path.endswith("/embeddings"):
            data = [{"index": i, "embedding": [float(len(text)), 3.0, 1.0]} for i, text in enumerate(body["input"])]
            return {"data": data[::-1], "model": body["model"], "usage": {"prompt_tokens": len(prompt.split())}}
        asked = body.get("n", 1)
        given = {"fewer": max(1, asked // 2), "empty": 0}.get(behaviour or "", asked)
        choices = [self._choice(path, body, index, behaviour) for index in range(given)]
        limit = body.get("max_tokens", 16)
        usage = {"prompt_tokens": len(prompt.split()) + 5, "completion_tokens": given * min(limit, 6)}
        return {"id": "x", "model": f"{body['model']}-2026", "choices": choices, "usage": usage}

    def _choice(self, path: str, body: dict[str, Any], index: int, behaviour: str | None) -> dict[str, Any]:
        text = text_for(body, index)
        reasons = {"length": "length", "refusal": "content_filter", "failed": "error"}
        finish = reasons.get(behaviour or "", "stop")
        choice: dict[str, Any] = {"index": index, "finish_reason": finish}
        if path.endswith("/chat/completions"):
            refused = behaviour == "refusal"
            choice["message"] = {"role": "assistant", "content": None if refused else text}
            if refused:
                choice["message"]["refusal"] = "I cannot help with that"
            if body.get("logprobs"):
                top = [{"token": token, "logprob": p, "bytes": list(token.encode())} for token, p in self.top.items()]
                choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top[: body.get("top_logprobs", 0)]}]}
            return choice
        choice["text"] = text
        if body.get("echo"):
            choice["text"] = body["prompt"] + " x"
            choice["logprobs"] = self._echo(body["prompt"])
        elif body.get("logprobs"):
            token = next(iter(self.top))
            top_map = dict(list(self.top.items())[: body["logprobs"]])
            last = next_word(body["prompt"])
            top_map[last] = log_probability(body["prompt"], last)
            choice["logprobs"] = {
                "tokens": [token], "token_logprobs": [self.top[token]], "top_logprobs": [top_map], "text_offset": [0],
            }  # fmt: skip
        return choice

    def _echo(self, prompt: str) -> dict[str, Any]:
        """Tokens are words with their leading blank; each has a log-probability that depends on what precedes."""
        offsets = [0] + [i for i, letter in enumerate(prompt) if letter == " " and i] + [len(prompt)]
        words = [prompt[start:end] for start, end in itertools.pairwise(offsets)]
        values: list[float | None] = [None]
        values += [
            log_probability(prompt[:start], word) + self.echo_offset
            for start, word in zip(offsets[1:], words[1:], strict=False)
        ]
        return {
            "tokens": [*words, " x"], "token_logprobs": [*values, -1.0], "text_offset": offsets,
            "top_logprobs": [None] * (len(words) + 1),
        }  # fmt: skip


def next_word(prefix: str) -> str:
    return " and" if prefix.endswith("Saturday") else " Yes"


def log_probability(prefix: str, token: str) -> float:
    digest = hashlib.sha256(f"{prefix}|{token}".encode()).digest()
    return -0.1 - digest[0] / 64
