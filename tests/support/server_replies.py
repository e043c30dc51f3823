"""Bodies of answers as OpenAI-compatible servers send them, for servers that are scripted answer by answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from werkzeug import Request, Response

# (status, body, headers) of the n-th request, from 0; a body of text is sent as it is
Reply = Callable[[dict[str, Any], int], tuple[int, object] | tuple[int, object, dict[str, str]]]


def chat(
    content: object = "A fine summary.",
    finish: str | None = "stop",
    *,
    logprobs: object = None,
    n: int = 1,
    usage: object = (5, 5),
    **message: object,
) -> dict[str, Any]:
    """Return a chat completion of n equal choices; `usage` is (prompt, completion) tokens, or what is sent."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": content, **message},
            "finish_reason": finish,
            "logprobs": logprobs,
        }
        for index in range(n)
    ]
    if isinstance(usage, tuple):
        usage = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return {"id": "x", "object": "chat.completion", "model": "m", "choices": choices, "usage": usage}


def likeliest(top: dict[str, float | None], first: str | None = None, **extra: object) -> dict[str, object]:
    """Return log-probabilities of one token, the first of `top` where `first` names none."""
    first = next(iter(top)) if first is None else first
    listed = [{"token": token, "logprob": value, "bytes": None} for token, value in top.items()]
    return {"content": [{"token": first, "logprob": top.get(first), "top_logprobs": listed, **extra}]}


class Replies:
    """A handler for pytest-httpserver that answers by `reply` and remembers what it was asked."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
        status, content, *headers = self.reply(body, number)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        return Response(text, status, headers[0] if headers else None, content_type="application/json")
