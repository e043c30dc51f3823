"""What a server says in an error, in whatever shape it says it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

_MESSAGE_KEYS = frozenset({"message", "msg", "detail", "error", "error_description", "error_msg", "raw", "title"})
_CODE_KEYS = frozenset({"code", "type", "status", "reason", "reasons", "param", "provider_name", "error_code"})
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class ServerWords:
    """The sentences of an error, and every code, type and parameter that it names, in lower case."""

    message: str
    codes: frozenset[str] = frozenset()

    @property
    def status(self) -> int | None:
        """The HTTP status among the codes, of 400 or more; the smallest where there are several."""
        found = [int(code) for code in self.codes if code.isascii() and code.isdigit() and 400 <= int(code) < 600]
        return min(found, default=None)


def read_server_words(body: bytes | str) -> ServerWords:
    """Return what an error's body says: JSON of any shape, a page, or plain text."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        parsed: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return ServerWords(" ".join(_TAG.sub(" ", text).split()))
    messages = list(dict.fromkeys(_messages(parsed, _DEPTH)))
    # A provider's whole message is often the end of the gateway's.
    kept = [one for one in messages if not any(one != other and one in other for other in messages)]
    return ServerWords("; ".join(kept), frozenset(_codes(parsed, _DEPTH)))


def _messages(value: JsonValue, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, str):
        yield from _of_text(value, depth)
    elif isinstance(value, list):
        for item in value:
            yield from _messages(item, depth - 1)
    elif isinstance(value, dict):
        where = value.get("loc")
        prefix = f"{'.'.join(map(str, where))}: " if isinstance(where, list) else ""
        for key, item in value.items():
            if isinstance(item, dict | list) or key in _MESSAGE_KEYS:
                texts = _messages(item, depth - 1)
                yield from (prefix + text for text in texts) if key != "loc" else ()


def _of_text(text: str, depth: int) -> Iterator[str]:
    """Yield a text, or what it says where it is an error in JSON itself, as gateways pass on their provider's."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _messages(json.loads(text), depth - 1)
            return
        except (ValueError, RecursionError):
            pass
    if stripped := " ".join(text.split()).rstrip(". "):
        yield stripped


def _codes(value: JsonValue, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value:
            yield from _codes(item, depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            own = item if isinstance(item, list) else [item]
            if key in _CODE_KEYS:
                yield from (str(each).lower() for each in own if isinstance(each, str | int) and each is not True)
            elif key == "contentFilter":  # Zhipu's and z.ai's way to say that a filter spoke
                yield "content_filter"
            yield from _codes(item, depth - 1)
