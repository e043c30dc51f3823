"""Chat messages: how they are checked, kept in a table's cell, and written as a plain transcript."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

from ilf_kedro.schemas import nearest, show_value

__all__ = [
    "ROLES",
    "Message",
    "MessagesError",
    "Transcript",
    "conversation_in",
    "messages_from_json",
    "messages_to_json",
    "parse_messages",
    "transcript",
    "without_oldest",
]

ROLES = ("system", "developer", "user", "assistant", "tool")

_STAYING = ("system", "developer")
_EXPECTED = 'messages such as [{"role": "user", "content": "…"}]'


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is one of `ROLES`."""

    role: str
    content: str


class MessagesError(ValueError):
    """A value is no list of chat messages; `found` says why, `expected` what to do."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found, self.expected = found, expected


def parse_messages(value: object) -> tuple[Message, ...]:
    """Return the messages that a list of {role, content} holds; a content of text parts is joined.

    Raises:
        MessagesError: it holds something else, or ends with the answer (an assistant's turn).
    """
    if isinstance(value, str):
        raise MessagesError(
            f"the text {show_value(value)}", f"{_EXPECTED}; make one of a text with [{{role: 'user', content: column}}]"
        )
    if not isinstance(value, Sequence):
        raise MessagesError(show_value(value), _EXPECTED)
    messages = tuple(_message(each, number) for number, each in enumerate(value, start=1))
    if messages and messages[-1].role == "assistant":
        raise MessagesError(
            "a conversation that ends with an assistant's turn",
            "one that ends before the output; leave the last turn out with column[:-1]",
        )
    return messages


def messages_to_json(messages: Iterable[Message]) -> str:
    """Return the text that a table's cell holds."""
    return json.dumps([{"role": each.role, "content": each.content} for each in messages], ensure_ascii=False)


def messages_from_json(text: str) -> tuple[Message, ...]:
    """Return the messages of a table's cell; the empty text has none."""
    return tuple(Message(**each) for each in json.loads(text)) if text else ()


def conversation_in(text: str) -> tuple[Message, ...] | None:
    """Return the messages of a table's cell that is exactly what `messages_to_json` writes; None for any other text."""
    if not text.startswith('[{"role": "'):
        return None
    try:
        messages = messages_from_json(text)
    except (TypeError, ValueError):
        return None
    return messages if messages_to_json(messages) == text else None


class Transcript(str):
    """A conversation as plain text, which knows its turns: "User: …", an empty line, the next."""

    __slots__ = ("turns",)
    turns: tuple[Message, ...]

    @classmethod
    def of(cls, turns: Iterable[Message], text: str | None = None) -> Self:
        """Return the transcript of a conversation, or `text` in its place."""
        turns = tuple(turns)
        made = cls("\n\n".join(map(_line, turns)) if text is None else text)
        made.turns = turns
        return made

    @property
    def starts(self) -> tuple[int, ...]:
        """Where in the text each turn begins."""
        lengths = [len(_line(turn)) + 2 for turn in self.turns]
        return tuple(accumulate(lengths[:-1], initial=0))

    @property
    def contents(self) -> tuple[int, ...]:
        """Where in the text the content of each turn begins."""
        return tuple(start + len(_label(turn)) for start, turn in zip(self.starts, self.turns, strict=True))


def without_oldest(messages: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    """Yield the conversation without its oldest turn, without its two oldest and so on, down to its last one.

    What the system or a developer says stays, and none begins with an answer.
    """
    for n in range(1, len(messages)):
        staying = [each for each in messages[:n] if each.role in _STAYING]
        if len(staying) < n and messages[n].role == "user":
            yield (*staying, *messages[n:])


def transcript(messages: Iterable[Message]) -> Transcript:
    """Write a conversation as plain text, for models without a chat template."""
    return Transcript.of(messages)


def _line(message: Message) -> str:
    return f"{_label(message)}{message.content}"


def _label(message: Message) -> str:
    return f"{message.role.capitalize()}: "


def _message(value: object, number: int) -> Message:
    if not isinstance(value, Mapping):
        raise MessagesError(f"{show_value(value)} as message {number}", _EXPECTED)
    role, content = value.get("role"), value.get("content")
    others = [key for key, each in value.items() if each is not None and key not in ("role", "content")]
    if not isinstance(role, str):
        pair = {"from": "from", "speaker": "speaker", "author": "author"}
        named = next((key for key in pair if key in value), None)
        said = next((key for key in ("content", "value", "text") if key in value), "content")
        remedy = f"; rename the keys with column[].{{role: {named}, content: {said}}}" if named else ""
        raise MessagesError(f"message {number} without a role: {show_value(value)}", _EXPECTED + remedy)
    if role not in ROLES:
        raise MessagesError(f"the role {role!r} of message {number}", f"{nearest(role, ROLES)}")
    if others:
        raise MessagesError(
            f"message {number} with {', '.join(map(repr, others))}",
            "role and content alone; leave the rest out with column[].{role: role, content: content}",
        )
    return Message(role, _content(content, number))


def _content(content: object, number: int) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            return "".join(map(str, texts))
    raise MessagesError(f"{show_value(content)} as content of message {number}", "text, or a list of text parts")
