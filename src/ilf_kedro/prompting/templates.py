"""Prompt templates: Jinja over the fields of an example, in a sandbox, checked when loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, model_validator

from ilf_kedro.prompting.language import language_faults
from ilf_kedro.prompting.messages import Message, Transcript
from ilf_kedro.schemas import Options, UserError

__all__ = ["Prompt", "PromptTemplate", "Span", "TemplateError"]

Span = tuple[int, int]  # of characters, half-open
_FIRST_MARK, _LAST_MARK = 0xF0000, 0xFFFFD  # of a plane that Unicode leaves to private use


class TemplateError(UserError):
    """A template does not parse, shows an unknown field, reaches out of its sandbox, or lacks a value."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt, and which of its characters may be left out when it is too long.

    `example_id` names the example in random generators and messages; `truncatable` is the half-open character span of
    the input in `text` that may be shortened: from its end; but where `turns` says where in `text` each turn of a
    conversation begins, whole turns from its beginning, the last one never. `chat` has the turns of a prompt that is
    a conversation and nothing else: chat models get them as such, others the transcript in `text`.
    """

    text: str
    example_id: str = ""
    truncatable: Span | None = None
    turns: tuple[int, ...] = ()
    chat: tuple[Message, ...] = ()


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    autoescape=False,  # a prompt is plain text
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals.clear()


class PromptTemplate(Options):
    """A prompt as a file: a Jinja template over an example's fields and, for questions, the answer words.

    A conversation is `{{ name }}`, a transcript, or `{% for turn in name.turns %}` over its `role` and `content`.
    `positive` and `negative` are the verbalizers of the two answers that a question has; a language
    model sums the probability over every first token that begins one of the verbalizers.
    `first_token` and `last_token` are those that the tokenised prompt must have, for models that were
    trained on one exact input.
    `truncate` names the field that may be shortened when the prompt exceeds the model's context.
    `clean` says what is made of a completion (cleaning.py): sentences, verbatim, code, or a function of the user's.
    """

    text: str
    truncate: str | None = None
    clean: str = "sentences"
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    stop: tuple[str, ...] = Field(default=(), description="texts that end a completion")
    first_token: str | None = None
    last_token: str | None = None

    @model_validator(mode="after")
    def _check_text(self) -> Self:
        try:
            faults = language_faults(_ENVIRONMENT.parse(self.text))
            shown = [] if faults else list(self.shown)
        except TemplateSyntaxError as error:
            raise TemplateError(f"text, line {error.lineno}: {error.message}; expected a Jinja template") from error
        if faults:
            raise TemplateError(f"text, {'; '.join(faults)}")
        if not shown:
            raise TemplateError("the text shows no field; expected one or more, such as {{ input }}")
        if self.truncate is not None and shown.count(self.truncate) > 1:
            raise TemplateError(f"the field {self.truncate!r} that may be shortened must stand only once")
        if self.truncate in shown and not _is_shown_whole(self.text, self.truncate):
            raise TemplateError(
                f"the field {self.truncate!r} that may be shortened must stand as {{{{ {self.truncate} }}}}, without a "
                "filter or a loop over its turns; or let none be shortened with truncate: null"
            )
        return self

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields in the order in which the text names them, as often as it does."""
        return _shown(self.text)

    @property
    def slots(self) -> tuple[str, ...]:
        """The fields that the text names, each once."""
        return tuple(dict.fromkeys(self.shown))

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything in the template, for run records and cache keys."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def render(self, example_id: str = "", **values: str) -> Prompt:
        """Fill the template, and remember where the text that may be shortened stands.

        Values are inserted literally: nothing in them is read as a template.

        Raises:
            TemplateError: a field has no value, a value has no field, or the template does what it may not.
        """
        if set(values) != set(self.slots):
            raise TemplateError(f"expected values for {sorted(self.slots)}, found {sorted(values)}")
        text, spans = self.locate(values, {self.truncate} if self.truncate else ())
        span = spans.get(self.truncate or "")
        value = values.get(self.truncate or "")
        if span is None or not isinstance(value, Transcript):
            return Prompt(text, example_id, span, chat=_chat(text, values))
        starts = tuple(span[0] + start for start in value.starts)
        return Prompt(text, example_id, span, starts, _chat(text, values))

    def locate(self, values: Mapping[str, str], names: Collection[str]) -> tuple[str, dict[str, Span]]:
        """Return the filled text, and the character span of each of `names` that stands in it, and is not empty.

        Raises:
            TemplateError: the template does what it may not, or shows one of them several times.
        """
        marks = _unused_marks(self.text, values.values())
        marked = {name: next(marks) for name in names if values.get(name)}
        given = {name: _marked(value, marked[name]) if name in marked else value for name, value in values.items()}
        try:
            text = _compiled(self.text).render(given)
        except (JinjaError, TypeError, ValueError) as error:
            raise TemplateError(f"a prompt's template cannot be filled: {error}") from error
        spans: dict[str, Span] = {}
        for _, name in sorted((text.find(mark), name) for name, mark in marked.items() if mark in text):
            before, value, *after = text.split(marked[name])
            if len(after) != 1:
                raise TemplateError(f"the field {name!r} stands several times in a prompt, expected once")
            others = sum(piece.count(mark) for piece in (before,) for mark in marked.values())
            start = len(before) - others
            spans[name] = (start, start + len(value))
        for mark in marked.values():
            text = text.replace(mark, "")
        return text, spans


def _chat(text: str, values: Mapping[str, str]) -> tuple[Message, ...]:
    """Return the turns of the conversation that is the whole text, if one is."""
    (value, *others) = values.values()
    return value.turns if not others and isinstance(value, Transcript) and value == text else ()


def _marked(value: str, mark: str) -> str:
    """Put a mark around a value, so that its place is known after the template was filled."""
    marked = f"{mark}{value}{mark}"
    return Transcript.of(value.turns, marked) if isinstance(value, Transcript) else marked


def _unused_marks(template: str, values: Collection[str]) -> Iterator[str]:
    """Yield characters that stand in neither the template nor a value."""
    used = {character for text in (template, *values) for character in text if ord(character) >= _FIRST_MARK}
    return (chr(code) for code in range(_FIRST_MARK, _LAST_MARK) if chr(code) not in used)


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    return _ENVIRONMENT.from_string(text)


@lru_cache(maxsize=256)
def _shown(text: str) -> tuple[str, ...]:
    tree = _ENVIRONMENT.parse(text)
    fields = find_undeclared_variables(tree)
    return tuple(each.name for each in tree.find_all(nodes.Name) if each.ctx == "load" and each.name in fields)


def _is_shown_whole(text: str, field: str) -> bool:
    outputs = _ENVIRONMENT.parse(text).find_all(nodes.Output)
    return any(isinstance(part, nodes.Name) and part.name == field for output in outputs for part in output.nodes)
