"""Prompt templates: text with named slots, checked when loaded."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from ilf_kedro.schemas import Options, UserError

_SLOT = re.compile(r"\{([a-z_]+)\}")


class TemplateError(UserError):
    """A template lacks a slot, has an unknown one, or was rendered without one."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt, and which of its characters may be cut when it is too long.

    `example_id` names the example in random generators and messages; `truncatable` is the half-open
    character span of the input in `text`: only it is ever shortened (from its end).
    """

    text: str
    example_id: str = ""
    truncatable: tuple[int, int] | None = None


class PromptTemplate(Options):
    """A prompt as a file: its text, its slots and, for questions, the answer words.

    `positive` and `negative` are the verbalizers of the two answers that a question has; a language
    model sums the probability over every first token that begins one of the verbalizers.
    `first_token` and `last_token` are those that the tokenised prompt must have, for models that were
    trained on one exact input.
    `truncate` names the slot that may be shortened when the prompt exceeds the model's context.
    `clean` says what is made of a completion (cleaning.py): sentences, verbatim, code, or a function of the user's.
    """

    text: str
    slots: tuple[str, ...]
    truncate: str | None = None
    clean: str = "sentences"
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    stop: tuple[str, ...] = Field(default=(), description="texts that end a completion")
    first_token: str | None = None
    last_token: str | None = None

    @model_validator(mode="after")
    def _check_slots(self) -> Self:
        found = set(_SLOT.findall(self.text))
        if missing := sorted(set(self.slots) - found):
            raise TemplateError(f"the text lacks the declared slots {missing}; it has {sorted(found)}")
        if unknown := sorted(found - set(self.slots)):
            raise TemplateError(f"the text has undeclared slots {unknown}; declared: {sorted(self.slots)}")
        if self.truncate is not None and self.truncate in found and self.text.count(f"{{{self.truncate}}}") > 1:
            raise TemplateError(f"the slot {self.truncate!r} that may be shortened must stand only once")
        return self

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything in the template, for run records and cache keys."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def render(self, example_id: str = "", **values: str) -> Prompt:
        """Fill every slot, and remember where the text that may be shortened stands.

        Values are inserted literally: braces in them are not slots.

        Raises:
            TemplateError: a slot has no value, or a value has no slot.
        """
        if set(values) != set(self.slots):
            raise TemplateError(f"expected values for {sorted(self.slots)}, found {sorted(values)}")
        parts: list[str] = []
        length, end_of_last, span = 0, 0, None
        for match in _SLOT.finditer(self.text):
            for piece, name in ((self.text[end_of_last : match.start()], None), (values[match[1]], match[1])):
                if name is not None and name == self.truncate:
                    span = (length, length + len(piece))
                parts.append(piece)
                length += len(piece)
            end_of_last = match.end()
        parts.append(self.text[end_of_last:])
        return Prompt("".join(parts), example_id, span)
