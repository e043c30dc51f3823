"""A rendered prompt: its text, the messages that it is for chat models, and what of it may be left out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydantic import JsonValue

from ilf_kedro.prompting.messages import Message, Transcript, without_oldest

__all__ = ["Prompt", "Span"]

Span = tuple[int, int]  # of characters, half-open


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt, and which of its characters may be left out when it is too long.

    `example_id` names the example in random generators and messages; `truncatable` is the half-open character span of
    the input in `text` that may be shortened: from its end; but where `turns` says where in `text` each turn of a
    conversation begins, whole turns from its beginning, the last one never. `chat` has the messages of a prompt that
    is nothing else: chat models get them as such, others their transcript, which is `text`; but a prompt that is
    `for_chat` alone was written as messages, and no model may get it otherwise.
    """

    text: str
    example_id: str = ""
    truncatable: Span | None = None
    turns: tuple[int, ...] = ()
    chat: tuple[Message, ...] = ()
    for_chat: bool = False

    @property
    def shape(self) -> list[JsonValue]:
        """Return each message's role and length: what `text` alone does not say, for cache keys and hashes."""
        return [[message.role, len(message.content)] for message in self.chat]

    @property
    def place(self) -> tuple[int, Span]:
        """Return in which message the characters stand that may be shortened, and where in its content."""
        begin, end = self.truncatable or (0, 0)
        starts = Transcript.of(self.chat).contents
        number = max(bisect_right(starts, begin) - 1, 0)
        return number, (begin - starts[number], end - starts[number])

    @property
    def droppable(self) -> range:
        """Return which messages are turns that may be left out; none where the turns stand within a message."""
        starts = Transcript.of(self.chat).starts
        inside = [number for number, start in enumerate(starts) if start in self.turns]
        return range(inside[0], inside[-1] + 1) if inside else range(0)

    def shortened(self) -> Iterator[tuple[Message, ...]]:
        """Yield the messages without the oldest turn that may be left out, without the two oldest and so on."""
        places = self.droppable
        for kept in without_oldest(self.chat[places.start : places.stop]):
            yield (*self.chat[: places.start], *kept, *self.chat[places.stop :])

    def without(self, gap: Span) -> Prompt:
        """Return the prompt without these characters of the text that may be shortened."""
        text = self.text[: gap[0]] + self.text[gap[1] :]
        if not self.chat:
            return replace(self, text=text)
        number, (begin, _) = self.place
        message, shift = self.chat[number], begin - (self.truncatable or (0, 0))[0]
        content = message.content[: gap[0] + shift] + message.content[gap[1] + shift :]
        chat = (*self.chat[:number], Message(message.role, content), *self.chat[number + 1 :])
        return replace(self, text=text, chat=chat)
