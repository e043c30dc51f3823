"""From prompts to tokens: plain or through the chat template, the post cut where the context ends."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ilf_kedro.language_models.checkpoint import Format
from ilf_kedro.language_models.protocol import Choice
from ilf_kedro.prompting import Prompt

_TAIL = 64  # characters of a prompt's end that decide how an answer after it is tokenised
_TAIL_TOKENS = 6  # tokens on which the tail alone and the whole text must agree


class PromptTooLongError(ValueError):
    """A prompt exceeds the model's context, and cutting its post does not help."""


class AmbiguousChoiceError(ValueError):
    """Two choices begin with the same tokens, so that their probabilities cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """A prompt as the model sees it. `n_cut` tokens of its post were cut."""

    text: str
    tokens: tuple[int, ...]
    n_cut: int = 0


@dataclass(frozen=True, slots=True)
class Continuation:
    """Tokens of prompt and continuation; the continuation's begin at `start`, with its character spans.

    `merged`: its first token also holds the prompt's last characters.
    """

    tokens: tuple[int, ...]
    start: int
    spans: tuple[tuple[int, int], ...]
    merged: bool


class Formatter:
    """Formats and tokenises for one model: its tokenizer (transformers), format and context length."""

    def __init__(self, tokenizer: Any, format: Format, context_length: int) -> None:  # noqa: A002
        if format == "chat" and not tokenizer.chat_template:
            raise ValueError("the model has no chat template; set `format: plain` for it in the catalog")
        self.tokenizer = tokenizer
        self._chat = format == "chat"
        self._context_length = context_length
        self._special = frozenset(tokenizer.all_special_ids)
        self._answers: dict[tuple[str, str], tuple[tuple[int, ...], tuple[int, ...]]] = {}

    @property
    def template_hash(self) -> str:
        """SHA-256 of the chat template; empty in plain format."""
        return hashlib.sha256(self.tokenizer.chat_template.encode()).hexdigest() if self._chat else ""

    def prompt(self, prompt: Prompt, n_reserved: int) -> Formatted:
        """Format a prompt, and leave room for `n_reserved` tokens after it by cutting its post.

        Raises:
            PromptTooLongError: naming the example, where the whole post is not enough.
        """
        text = self._wrap(prompt.text)
        tokens, offsets = self._tokenise(text)
        if len(tokens) + n_reserved <= self._context_length:
            return Formatted(text, tokens)
        n_whole = len(tokens)
        begin, end = self._post(prompt, text)
        while (excess := len(tokens) + n_reserved - self._context_length) > 0:
            inside = [start for start, stop in offsets if begin <= start < stop <= end]
            if excess > len(inside) or not inside:
                raise PromptTooLongError(
                    f"the prompt of example {prompt.example_id!r} has {n_whole} tokens and needs {n_reserved} more, "
                    f"but the model's context holds {self._context_length}. Only its post may be cut, and that is "
                    "not enough: shorten the template or max_new_tokens, or use a model with a longer context."
                )
            cut = inside[-excess]
            text, end = text[:cut] + text[end:], cut
            tokens, offsets = self._tokenise(text)
        return Formatted(text, tokens, n_whole - len(tokens))

    def continuation(self, prompt: Prompt, continuation: str) -> tuple[Formatted, Continuation]:
        """Tokenise a prompt and its continuation as one text, cutting the post so that both fit."""
        n_reserved = self.count(continuation)
        while True:
            formatted = self.prompt(prompt, n_reserved)
            joint = self._join(formatted, continuation)
            excess = len(joint.tokens) - self._context_length
            if excess <= 0:
                return formatted, joint
            n_reserved += excess

    def count(self, text: str) -> int:
        """Return the number of tokens of a text by itself."""
        return len(self.tokenizer(text, add_special_tokens=False).input_ids)

    def text_tokens(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text outside any prompt, as many as the context holds."""
        return self._tokenise(text)[0][: self._context_length]

    def answers(self, formatted: Formatted, choices: Sequence[Choice]) -> tuple[int, list[list[tuple[int, ...]]], bool]:
        """Return how the spellings of each choice go on after a prompt.

        Returns how many of the prompt's tokens all have in common, each choice's distinct token sequences
        after those, and whether a spelling merges with the prompt's last token. The end of the prompt
        alone is tokenised anew, where that gives the same tokens.

        Raises:
            AmbiguousChoiceError: two choices have a token sequence in common.
        """
        ways = [[self._answer(formatted, spelling) for spelling in choice.spellings] for choice in choices]
        n_dropped = max(dropped for way in ways for dropped, _ in way)
        base = len(formatted.tokens) - n_dropped
        answers = [
            sorted({formatted.tokens[base : len(formatted.tokens) - dropped] + added for dropped, added in way})
            for way in ways
        ]
        seen: dict[tuple[int, ...], str] = {}
        for choice, sequences in zip(choices, answers, strict=True):
            for sequence in sequences:
                if sequence in seen:
                    raise AmbiguousChoiceError(
                        f"the choices {seen[sequence]!r} and {choice.name!r} have a spelling of the same tokens; "
                        f"found {[c.spellings for c in choices]}: give each its own spellings"
                    )
                seen[sequence] = choice.name
        return base, answers, n_dropped > 0

    def _answer(self, formatted: Formatted, spelling: str) -> tuple[int, tuple[int, ...]]:
        """Return how many of the prompt's last tokens change before a spelling, and the tokens after those."""
        tail = formatted.text[-_TAIL:]
        if (tail, spelling) not in self._answers:
            self._answers[tail, spelling] = (self._bare(tail), self._bare(tail + spelling))
        alone, joint = self._answers[tail, spelling]
        if alone[-_TAIL_TOKENS:] != formatted.tokens[-_TAIL_TOKENS:]:
            alone, joint = formatted.tokens, self._tokenise(formatted.text + spelling)[0]
        shared = _n_shared(alone, joint)
        return len(alone) - shared, joint[shared:]

    def _join(self, formatted: Formatted, continuation: str) -> Continuation:
        boundary = len(formatted.text)
        tokens, offsets = self._tokenise(formatted.text + continuation)
        start = len(formatted.tokens)
        merged = bool(formatted.text) and tokens[:start] != formatted.tokens
        start = start if formatted.text else len(tokens) - len([span for span in offsets if span[1] > 0])
        if merged:
            start = next((i for i, (_, stop) in enumerate(offsets) if stop > boundary), len(tokens))
        spans = tuple((max(begin - boundary, 0), max(stop - boundary, 0)) for begin, stop in offsets[start:])
        if start == 0:  # nothing stands before the first token: let the sequence's beginning stand there
            tokens, start = (self._beginning, *tokens), 1
        return Continuation(tokens, start, spans, merged)

    @property
    def _beginning(self) -> int:
        token = self.tokenizer.bos_token_id
        return int(self.tokenizer.eos_token_id if token is None else token)

    def _wrap(self, text: str) -> str:
        if not self._chat:
            return text
        messages = [{"role": "user", "content": text}]
        return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    def _post(self, prompt: Prompt, formatted: str) -> tuple[int, int]:
        """Return the span of what may be cut in the formatted text; empty where there is none."""
        if prompt.truncatable is None:
            return 0, 0
        stripped = prompt.text.strip()  # some templates strip their messages
        place = formatted.find(stripped)
        if place < 0:
            return 0, 0
        shift = place - prompt.text.find(stripped)
        begin, end = (min(max(at + shift, place), place + len(stripped)) for at in prompt.truncatable)
        return begin, end

    def _tokenise(self, text: str) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
        """Return tokens and character spans, beginning but never ending with special tokens of its own."""
        encoded = self.tokenizer(text, add_special_tokens=not self._chat, return_offsets_mapping=True)
        tokens, offsets = list(encoded.input_ids), [(int(a), int(b)) for a, b in encoded.offset_mapping]
        while len(tokens) > 1 and tokens[-1] in self._special and offsets[-1] == (0, 0):
            tokens.pop()
            offsets.pop()
        if not tokens:
            return (self._beginning,), [(0, 0)]
        return tuple(tokens), offsets

    def _bare(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)


def _n_shared(first: Sequence[int], second: Sequence[int]) -> int:
    n = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        n += 1
    return n
