"""A model's chat template as a function of one message or of a conversation's turns, whatever the template asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ilf_kedro.prompting import Message, Span
from ilf_kedro.schemas import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["MESSAGE", "ChatTemplate"]

MESSAGE = "\ue000"  # a private character, which no chat template has
_ANSWER = "\ue001"
_DATE = datetime(2026, 1, 1)  # "today" in every template: the same prompts on every day

_DIRECTIVES = "aAbBdeFHIjmMpSTuwyY"

Conversation = list[dict[str, Any]]


def _texts(text: str) -> Conversation:
    return [{"role": "user", "content": text}]


def _parts(text: str) -> Conversation:
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]


def _with_system(form: Callable[[str], Conversation]) -> Callable[[str], Conversation]:
    return lambda text: [{**form("")[0], "role": "system"}, *form(text)]


# Most templates take the first; others loop over the parts of a message, or insist on a system message.
_FORMS = (_texts, _parts, _with_system(_texts), _with_system(_parts))


class ChatTemplate:
    """The template of a tokenizer (transformers), in the first form of a conversation that shows the message.

    Raises:
        UserError: there is no template, none of several is the default, or none shows the message.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._source = _default(tokenizer.chat_template)
        self._form = self._find_form()

    def render(self, text: str) -> str:
        """Return a message as the model sees it, up to where its answer begins."""
        return self._apply(_FORMS[self._form](text), add_generation_prompt=True)

    def render_turns(self, turns: Sequence[Message]) -> tuple[str, tuple[Span, ...]]:
        """Return a conversation as the model sees it, up to where its answer begins, and the template's own spans.

        Raises:
            UserError: the template refuses these roles, or writes something else than the turns' texts.
        """
        frames = self._conversation([Message(each.role, MESSAGE) for each in turns]).split(MESSAGE)
        text = self._conversation(turns)
        if len(frames) != len(turns) + 1 or not text.startswith(frames[0]):
            raise self._refusal(turns, "it leaves turns out")
        spans, place = [(0, len(frames[0]))], len(frames[0])
        for turn, frame in zip(turns, frames[1:], strict=True):
            # Some templates strip what is said.
            forms = (turn.content, turn.content.strip(), turn.content.lstrip(), turn.content.rstrip())
            said = next((form for form in forms if text.startswith(form + frame, place)), None)
            if said is None:
                raise self._refusal(turns, "it changes what is said")
            begin, place = place + len(said), place + len(said) + len(frame)
            spans.append((begin, place))
        if place != len(text):
            raise self._refusal(turns, "it adds text")
        return text, tuple(spans)

    def _conversation(self, turns: Sequence[Message]) -> str:
        form = _FORMS[self._form]
        messages = [{**form(turn.content)[-1], "role": turn.role} for turn in turns]
        if len(form("")) > 1 and turns[0].role != "system":
            messages = [form("")[0], *messages]
        try:
            return self._apply(messages, add_generation_prompt=True)
        except Exception as error:  # noqa: BLE001  # whatever a template raises
            said = f"it ends in {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise self._refusal(turns, said) from None

    def _refusal(self, turns: Sequence[Message], said: str) -> UserError:
        return UserError(
            f"the chat template of {self._tokenizer.name_or_path} cannot show a conversation of "
            f"{', '.join(turn.role for turn in turns)}: {said}; set `format: plain` for the model in the catalog, so "
            "that it reads a transcript, or change the turns by the expression of this input's column"
        )

    @cached_property
    def end(self) -> int | None:
        """The token that the template writes after an answer; None where that is not one special token."""
        answer = _FORMS[self._form](_ANSWER)[-1] | {"role": "assistant"}
        try:
            text = self._apply([*_FORMS[self._form](MESSAGE), answer], add_generation_prompt=False)
        except Exception:  # noqa: BLE001  # a template for questions alone
            return None
        after = text.rpartition(_ANSWER)[2].lstrip()
        special = {token.content: id_ for id_, token in self._tokenizer.added_tokens_decoder.items() if token.special}
        found = [spelling for spelling in special if after.startswith(spelling)]
        return special[max(found, key=len)] if found else None

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides what is rendered and where an answer ends."""
        deviations = self.deviations
        return hashlib.sha256(f"{self._source}{deviations or ''}".encode()).hexdigest()

    @property
    def deviations(self) -> dict[str, int | str]:
        """In what this differs from a template of user messages whose answers end in the tokenizer's own token."""
        found: dict[str, int | str] = {}
        if self._form:
            found["form"] = self._form
        if "strftime_now" in self._source:
            found["date"] = _DATE.date().isoformat()
        if self.end is not None and self.end != self._tokenizer.eos_token_id:
            found["end"] = self.end
        return found

    def _find_form(self) -> int:
        said = "it leaves the message out"
        for place, form in enumerate(_FORMS):
            try:
                if MESSAGE in self._apply(form(MESSAGE), add_generation_prompt=True):
                    return place
            except Exception as error:  # noqa: BLE001  # whatever a template raises
                said = f"it ends in {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(
            f"the chat template of {self._tokenizer.name_or_path} cannot show a user's message: {said}; set "
            "`format: plain` for the model in the catalog, or mend its chat_template"
        )

    def _apply(self, conversation: Conversation, *, add_generation_prompt: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                conversation,
                chat_template=_fix_date(self._source),
                add_generation_prompt=add_generation_prompt,
                tokenize=False,
            )
        )


def _fix_date(template: str) -> str:
    """Return a template whose `strftime_now` knows one day alone: a macro hides the function that asks the clock."""
    if "strftime_now" not in template:
        return template
    directives = "".join(f" | replace('%{each}', '{_DATE.strftime('%' + each)}')" for each in _DIRECTIVES)
    return "{%- macro strftime_now(format) -%}{{ format" + directives + " }}{%- endmacro -%}" + template


def _default(templates: str | dict[str, str] | None) -> str:
    if not templates:
        raise UserError("the model has no chat template; set `format: plain` for it in the catalog")
    if isinstance(templates, str):
        return templates
    if "default" not in templates:
        raise UserError(
            f"the model has the chat templates {', '.join(sorted(templates))}, and none of them is the default; rename "
            "the right one in its directory to chat_template.jinja, or set `format: plain` for it in the catalog"
        )
    return templates["default"]
