"""Prompt templates: Jinja over the fields of an example, in a sandbox, checked when loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Literal, Self

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, model_validator

from ilf_kedro.prompting.language import language_faults
from ilf_kedro.prompting.messages import Message, Transcript
from ilf_kedro.prompting.prompt import Prompt, Span
from ilf_kedro.schemas import Options, UserError

__all__ = ["MessageTemplate", "PromptTemplate", "TemplateError"]

_FIRST_MARK, _LAST_MARK = 0xF0000, 0xFFFFD  # of a plane that Unicode leaves to private use


class TemplateError(UserError):
    """A template does not parse, shows an unknown field, reaches out of its sandbox, or lacks a value."""


class MessageTemplate(Options):
    """One message of a prompt: who says what; or, as `turns`, the field whose own turns stand here."""

    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | None = None
    turns: str | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.turns is None) == (self.role is None) or (self.role is None) != (self.content is None):
            raise ValueError("expected role and content, or turns alone, such as {turns: request}")
        return self


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

    A conversation is `{{ name }}`, a transcript, or `{% for turn in name.turns %}` over its `role` and `content`. In
    place of `text`, `messages` are templates of several messages, for chat models alone.
    `positive` and `negative` are the verbalizers of the two answers that a question has; a language
    model sums the probability over every first token that begins one of the verbalizers.
    `first_token` and `last_token` are those that the tokenised prompt must have, for models that were
    trained on one exact input.
    `truncate` names the field that may be shortened when the prompt exceeds the model's context.
    `clean` says what is made of a completion (cleaning.py): sentences, verbatim, code, or a function of the user's.
    """

    text: str = ""
    messages: tuple[MessageTemplate, ...] = ()
    truncate: str | None = None
    clean: str = "sentences"
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    stop: tuple[str, ...] = Field(default=(), description="texts that end a completion")
    first_token: str | None = None
    last_token: str | None = None

    @model_validator(mode="after")
    def _check_text(self) -> Self:
        if bool(self.text) == bool(self.messages):
            found = "both text and messages" if self.text else "neither text nor messages"
            raise TemplateError(f"found {found}; expected one of them")
        for where, text in self._texts:
            _check_language(where, text)
        shown = self.shown
        if not shown:
            raise TemplateError(f"the {self._kind} shows no field; expected one or more, such as {{{{ input }}}}")
        if self.messages and self.messages[-1].role not in ("user", None):
            raise TemplateError(
                f"the last of messages is the {self.messages[-1].role}'s; expected the user's, which the model answers"
            )
        if self.truncate is not None and shown.count(self.truncate) > 1:
            raise TemplateError(f"the field {self.truncate!r} that may be shortened must stand only once")
        if self.truncate in shown and not self._shows_whole(self.truncate):
            raise TemplateError(
                f"the field {self.truncate!r} that may be shortened must stand as {{{{ {self.truncate} }}}}, without a "
                "filter or a loop over its turns; or let none be shortened with truncate: null"
            )
        return self

    @property
    def _kind(self) -> str:
        return "messages" if self.messages else "text"

    @property
    def _texts(self) -> list[tuple[str, str]]:
        """Return every Jinja template and where it stands."""
        if not self.messages:
            return [("text", self.text)]
        contents = ((f"messages[{place}].content", each.content) for place, each in enumerate(self.messages))
        return [(where, content) for where, content in contents if content is not None]

    def _shows_whole(self, field: str) -> bool:
        spliced = any(each.turns == field for each in self.messages)
        return spliced or any(_is_shown_whole(text, field) for _, text in self._texts)

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields in the order in which the text, or the messages, name them, as often as they do."""
        if not self.messages:
            return _shown(self.text)
        named = ((each.turns,) if each.turns else _shown(each.content or "") for each in self.messages)
        return tuple(field for fields in named for field in fields)

    @property
    def slots(self) -> tuple[str, ...]:
        """The fields that the template names, each once."""
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
        if self.messages:
            return self._render_messages(example_id, values)
        text, spans = self.locate(values, {self.truncate} if self.truncate else ())
        span = spans.get(self.truncate or "")
        turns = _turns_within(values.get(self.truncate or ""), span)
        return Prompt(text, example_id, span, turns, _chat(text, values))

    def _render_messages(self, example_id: str, values: Mapping[str, str]) -> Prompt:
        chat: list[Message] = []
        where: tuple[int, Span | None] | None = None  # what may be shortened: the message, and the span in its content
        for each in self.messages:
            if each.turns is not None:
                if each.turns == self.truncate:
                    where = (len(chat), None)
                chat += _conversation(values[each.turns], each.turns)
                continue
            text, spans = _fill(each.content or "", values, {self.truncate} if self.truncate else ())
            if self.truncate in spans:
                where = (len(chat), spans[self.truncate])
            chat.append(Message(str(each.role), text))
        whole = Transcript.of(chat)
        span, turns = _place(whole, where, values.get(self.truncate or ""))
        return Prompt(str(whole), example_id, span, turns, tuple(chat), for_chat=True)

    def locate(self, values: Mapping[str, str], names: Collection[str]) -> tuple[str, dict[str, Span]]:
        """Return the filled text, and the character span of each of `names` that stands in it, and is not empty.

        Raises:
            TemplateError: there are messages in place of a text, the template does what it may not, or shows one of
                the names several times.
        """
        if self.messages:
            raise TemplateError("found messages, expected one text, whose tokens are scored as they stand")
        return _fill(self.text, values, names)


def _check_language(where: str, text: str) -> None:
    """Refuse a Jinja template that does not parse, or holds what no prompt may."""
    try:
        faults = language_faults(_ENVIRONMENT.parse(text))
    except TemplateSyntaxError as error:
        raise TemplateError(f"{where}, line {error.lineno}: {error.message}; expected a Jinja template") from error
    if faults:
        raise TemplateError(f"{where}, {'; '.join(faults)}")


def _fill(template: str, values: Mapping[str, str], names: Collection[str]) -> tuple[str, dict[str, Span]]:
    """Return the filled template, and the character span of each of `names` that stands in it, and is not empty."""
    marks = _unused_marks(template, values.values())
    marked = {name: next(marks) for name in names if values.get(name)}
    given = {name: _marked(value, marked[name]) if name in marked else value for name, value in values.items()}
    try:
        text = _compiled(template).render(given)
    except (JinjaError, TypeError, ValueError) as error:
        raise TemplateError(f"a prompt's template cannot be filled: {error}") from error
    spans: dict[str, Span] = {}
    for _, name in sorted((text.find(mark), name) for name, mark in marked.items() if mark in text):
        before, value, *after = text.split(marked[name])
        if len(after) != 1:
            raise TemplateError(f"the field {name!r} stands several times in a prompt, expected once")
        others = sum(before.count(mark) for mark in marked.values())
        start = len(before) - others
        spans[name] = (start, start + len(value))
    for mark in marked.values():
        text = text.replace(mark, "")
    return text, spans


def _conversation(value: str, field: str) -> tuple[Message, ...]:
    if not isinstance(value, Transcript):
        raise TemplateError(f"messages: turns: {field} is a text, expected a conversation (kind: messages)")
    return value.turns


def _turns_within(value: str | None, span: Span | None) -> tuple[int, ...]:
    """Return where each turn of a conversation begins that stands at a span."""
    return tuple(span[0] + start for start in value.starts) if span and isinstance(value, Transcript) else ()


def _place(
    whole: Transcript, where: tuple[int, Span | None] | None, value: str | None
) -> tuple[Span | None, tuple[int, ...]]:
    """Return the span in a transcript that may be shortened, and where its turns begin, if it is a conversation."""
    if where is None:
        return None, ()
    number, span = where
    if span is not None:
        begin = whole.contents[number]
        span = (begin + span[0], begin + span[1])
        return span, _turns_within(value, span)
    n_turns = len(value.turns) if isinstance(value, Transcript) else 0
    turns = whole.starts[number : number + n_turns]
    last = number + n_turns - 1
    return (turns[0], whole.contents[last] + len(whole.turns[last].content)), turns


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
