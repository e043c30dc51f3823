"""From prompts to tokens: plain or through the chat template, the input truncated where the context ends.

Special tokens come from the chat template alone. An input that spells one, such as "<|im_end|>", is text: it
ends no message and begins none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ilf_kedro.language_models.checkpoints.checkpoint import Format
from ilf_kedro.language_models.local.chat_template import MESSAGE, ChatTemplate
from ilf_kedro.prompting import Prompt, Span
from ilf_kedro.schemas import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class PromptTooLongError(ValueError):
    """A prompt exceeds the model's context, and truncating its input does not help."""


def _what_may_be_truncated(prompt: Prompt) -> str:
    if prompt.truncatable is None:
        return (
            "None of its inputs may be truncated: name one by `truncate: true` in task.inputs and as `truncate` in the "
            "prompt's file"
        )
    return "Only its input may be truncated, and that is not enough: shorten the row's other texts"


@dataclass(frozen=True, slots=True)
class Formatted:
    """A prompt as the model sees it: `n_truncated_tokens` of its input are gone, `template` stands around it."""

    text: str
    tokens: tuple[int, ...]
    n_truncated_tokens: int = 0
    template: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Continuation:
    """Tokens of prompt and continuation; the continuation's begin at `start`, with its character spans.

    Its first token may also hold the prompt's last characters.
    """

    tokens: tuple[int, ...]
    start: int
    spans: tuple[Span, ...]


def _oldest_kept(turns: Sequence[int], inside: Sequence[int], excess: int) -> int:
    """Return where the first turn begins before which `excess` tokens stand, else the last turn."""
    return next((start for start in turns if sum(token < start for token in inside) >= excess), turns[-1])


def _moved(place: int, gap: Span) -> int:
    """Return where a place stands once the characters of a gap are gone."""
    return place - max(0, min(place, gap[1]) - gap[0])


class Formatter:
    """Formats and tokenises for one model: its tokenizer (transformers), format and context length."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, format: Format, context_length: int) -> None:  # noqa: A002
        self.tokenizer = tokenizer
        self._chat = ChatTemplate(tokenizer) if format == "chat" else None
        self._context_length = context_length
        verbalizers = {id_: token.content for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._special = verbalizers | dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))

    @property
    def template_hash(self) -> str:
        """SHA-256 of the chat template and how it is used; empty in plain format."""
        return self._chat.hash if self._chat else ""

    @property
    def end(self) -> int | None:
        """The token that ends an answer: what the chat template writes there, or the tokenizer's end of sequence."""
        end = self._chat.end if self._chat else None
        return self.tokenizer.eos_token_id if end is None else end

    def prompt(self, prompt: Prompt, n_reserved: int) -> Formatted:
        """Format a prompt, and leave room for `n_reserved` tokens after it by truncating its input.

        An input loses its end; a conversation its oldest turns, each as a whole, and never its last one.

        Raises:
            PromptTooLongError: naming the example, where the whole input is not enough.
        """
        if prompt.for_chat and not self._chat:
            raise UserError(
                f"the prompt of example {prompt.example_id!r} is written as several messages, which a model of plain "
                "format cannot take; set `format: chat` for it in the catalog, or write the prompt as one text"
            )
        if self._chat and prompt.droppable:
            return self._conversation(self._chat, prompt, n_reserved)
        text, template = self._whole(prompt)
        tokens, offsets = self.tokenise(text, template)
        if len(tokens) + n_reserved <= self._context_length:
            return Formatted(text, tokens, template=template)
        n_whole = len(tokens)
        begin, end = self._input(prompt, text, template)
        turns = [begin + start - (prompt.truncatable or (0, 0))[0] for start in prompt.turns]
        while (excess := len(tokens) + n_reserved - self._context_length) > 0:
            inside = [start for start, stop in offsets if begin <= start < stop <= end]
            if prompt.turns:
                first = _oldest_kept(turns, inside, excess)
                gap = (begin, first)
                turns = [start - (first - begin) for start in turns if start >= first]
            else:
                gap = (end, end) if excess > len(inside) else (inside[-excess], end)
            if gap[0] == gap[1]:
                raise self._too_long(prompt, n_whole, n_reserved)
            text, end = text[: gap[0]] + text[gap[1] :], end - (gap[1] - gap[0])
            template = tuple((_moved(first, gap), _moved(last, gap)) for first, last in template)
            tokens, offsets = self.tokenise(text, template)
        return Formatted(text, tokens, n_whole - len(tokens), template)

    def _conversation(self, chat: ChatTemplate, prompt: Prompt, n_reserved: int) -> Formatted:
        """Format a conversation by the model's own template, without as many of its oldest turns as are too much."""
        n_whole = 0
        for turns in (prompt.chat, *prompt.shortened()):
            text, template = chat.render_turns(turns)
            tokens, _ = self.tokenise(text, template)
            n_whole = n_whole or len(tokens)
            if len(tokens) + n_reserved <= self._context_length:
                return Formatted(text, tokens, n_whole - len(tokens), template)
        raise self._too_long(prompt, n_whole, n_reserved)

    def _too_long(self, prompt: Prompt, n_tokens: int, n_reserved: int) -> PromptTooLongError:
        return PromptTooLongError(
            f"the prompt of example {prompt.example_id!r} has {n_tokens} tokens and needs {n_reserved} more, "
            f"but the model's context holds {self._context_length}. {_what_may_be_truncated(prompt)}, shorten "
            "the template or max_new_tokens, or use a model with a longer context."
        )

    def continuation(self, prompt: Prompt, continuation: str) -> tuple[Formatted, Continuation]:
        """Tokenise a prompt and its continuation as one text, cutting the input so that both fit."""
        n_reserved = len(self.bare(continuation))
        while True:
            formatted = self.prompt(prompt, n_reserved)
            joint = self._join(formatted, continuation)
            excess = len(joint.tokens) - self._context_length
            if excess <= 0:
                return formatted, joint
            n_reserved += excess

    def with_prompt(self, prompt: Prompt, continuation: str) -> tuple[Formatted, Continuation]:
        """Do as `continuation`, but let the tokens to be scored begin with the second of the text.

        The prompt's spans are negative, counted back from its end; those of the chat template are empty.
        """
        prompt = replace(prompt, chat=(), for_chat=False)  # its characters are those of the transcript
        formatted, joint = self.continuation(prompt, continuation)
        offsets = self.continued(formatted, continuation)[1]
        boundary, (begin, end, origin) = len(formatted.text), self._message_in(formatted.text, prompt)

        def place(first: int, last: int) -> Span:
            if last > boundary:
                return max(first - boundary, 0), last - boundary
            first, last = max(first, begin), min(last, end)
            return (first - origin, last - origin) if first < last else (0, 0)

        spans = tuple(place(*span) for span in offsets)
        # The text's own first token is scored only where another stands before it.
        return formatted, Continuation(joint.tokens, 1, spans[len(spans) + 1 - len(joint.tokens) :])

    def bare(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text by itself, without special ones around it; those that it spells are meant."""
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def tokenise(self, text: str, template: Sequence[Span] = ()) -> tuple[tuple[int, ...], list[Span]]:
        """Return tokens and character spans, beginning but never ending with special tokens of its own.

        Special tokens that the text spells are meant within `template`; elsewhere they are letters.
        """
        encoded = self.tokenizer(text, add_special_tokens=self._chat is None, return_offsets_mapping=True)
        tokens, offsets = list(encoded.input_ids), [(int(a), int(b)) for a, b in encoded.offset_mapping]
        while len(tokens) > 1 and tokens[-1] in self._special and offsets[-1] == (0, 0):
            tokens.pop()
            offsets.pop()
        if not tokens:
            return (self._beginning,), [(0, 0)]
        for place in reversed(range(len(tokens))):
            begin, stop = offsets[place]
            spelling = self._special.get(tokens[place])
            if spelling is None or spelling not in text[begin:stop]:
                continue
            if not any(first <= begin and stop <= last for first, last in template):
                letters, spans = self._letters(text[begin:stop])
                tokens[place : place + 1] = letters
                offsets[place : place + 1] = [(begin + a, begin + b) for a, b in spans]
        return tuple(tokens), offsets

    def continued(self, formatted: Formatted, text: str) -> tuple[tuple[int, ...], list[Span]]:
        """Return the tokens and character spans of a prompt and what follows it, as one text."""
        return self.tokenise(formatted.text + text, formatted.template)

    def text_tokens(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text outside any prompt, as many as the context holds."""
        return self.tokenise(text)[0][: self._context_length]

    def _join(self, formatted: Formatted, continuation: str) -> Continuation:
        boundary = len(formatted.text)
        tokens, offsets = self.continued(formatted, continuation)
        start = len(formatted.tokens)
        if tokens[:start] != formatted.tokens:  # the boundary lies within a token
            start = next((i for i, (_, stop) in enumerate(offsets) if stop > boundary), len(tokens))
        spans = tuple((max(begin - boundary, 0), max(stop - boundary, 0)) for begin, stop in offsets[start:])
        if start == 0:  # nothing stands before the first token: let the beginning of a text stand there
            tokens, start = (self._beginning, *tokens), 1
        return Continuation(tokens, start, spans)

    def _letters(self, text: str) -> tuple[list[int], list[Span]]:
        """Return the tokens of a text in which none is special."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        return list(encoded.input_ids), [(int(a), int(b)) for a, b in encoded.offset_mapping]

    @property
    def _beginning(self) -> int:
        known = [id_ for id_ in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id) if id_ is not None]
        if not known:
            raise UserError(
                f"{self.tokenizer.name_or_path} has no token that begins or ends a text, so that nothing can be said "
                "of a text's first token; name a bos_token or eos_token in its tokenizer_config.json"
            )
        return int(known[0])

    def _whole(self, prompt: Prompt) -> tuple[str, tuple[Span, ...]]:
        """Return a prompt as the model sees it, nothing left out, and the spans of the chat template's own text."""
        if self._chat and prompt.chat:
            return self._chat.render_turns(prompt.chat)
        text = self._wrap(prompt.text)
        return text, self._template_in(text)

    def _wrap(self, text: str) -> str:
        if not self._chat:
            return text
        return self._chat.render(text)

    @cached_property
    def _frame(self) -> tuple[str, str]:
        """What the chat template puts before and after a message."""
        before, _, after = self._wrap(MESSAGE).partition(MESSAGE)
        return before, after

    def _message_in(self, formatted: str, prompt: Prompt) -> tuple[int, int, int]:
        """Return where a prompt begins and ends in the formatted text, and where it would end unstripped."""
        if not self._chat:
            return 0, len(formatted), len(formatted)
        before, after = self._frame
        begin = len(before) if formatted.startswith(before) else 0
        end = len(formatted) - (len(after) if formatted.endswith(after) else 0)
        blanks = len(prompt.text) - len(prompt.text.rstrip())
        stripped = blanks and formatted[end - blanks : end] != prompt.text[-blanks:]
        return begin, end, end + (blanks if stripped else 0)

    def _template_in(self, formatted: str) -> tuple[Span, ...]:
        """Return the spans of the chat template's own text; all of it, where the template does not say the same."""
        if not self._chat:
            return ()
        before, after = self._frame
        if not (formatted.startswith(before) and formatted.endswith(after)):
            return ((0, len(formatted)),)
        return (0, len(before)), (len(formatted) - len(after), len(formatted))

    def _input(self, prompt: Prompt, formatted: str, template: Sequence[Span]) -> Span:
        """Return the span of what may be cut in the formatted text; empty where there is none."""
        if prompt.truncatable is None:
            return 0, 0
        if self._chat and prompt.chat:
            number, span = prompt.place
            said, room = prompt.chat[number].content, (template[number][1], template[number + 1][0])
            lead = said.find(formatted[room[0] : room[1]])  # some templates strip what is said
            first, last = (min(max(at - lead, 0) + room[0], room[1]) for at in span)
            return first, last
        stripped = prompt.text.strip()  # some templates strip their messages
        place = formatted.find(stripped)
        if place < 0:
            return 0, 0
        shift = place - prompt.text.find(stripped)
        begin, end = (min(max(at + shift, place), place + len(stripped)) for at in prompt.truncatable)
        return begin, end
