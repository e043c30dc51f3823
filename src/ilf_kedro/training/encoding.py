"""From prompts and labels to tokens and their loss weights."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ilf_kedro.language_models.checkpoint import Format
from ilf_kedro.prompting import Prompt
from ilf_kedro.training.examples import TrainingExample
from ilf_kedro.training.options import TrainingOptions


class ExampleError(ValueError):
    """An example cannot be trained on: its label is empty, or leaves no room for its prompt."""


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """Token ids of prompt and label, and the loss weight of each token (1 in the label), equally long."""

    input_ids: tuple[int, ...]
    loss_weights: tuple[float, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class FormattedPrompt:
    """What the model really reads, and where in it the text stands that may be cut."""

    text: str
    truncatable: tuple[int, int] | None
    adds_special_tokens: bool


def format_prompt(tokenizer: Any, prompt: Prompt, format: Format) -> FormattedPrompt:  # noqa: A002
    if format == "plain":
        return FormattedPrompt(prompt.text, prompt.truncatable, adds_special_tokens=True)
    messages = [{"role": "user", "content": prompt.text}]
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    offset = text.index(prompt.text)
    span = prompt.truncatable and (prompt.truncatable[0] + offset, prompt.truncatable[1] + offset)
    return FormattedPrompt(text, span or None, adds_special_tokens=False)


def encode_examples(
    tokenizer: Any,
    examples: Sequence[TrainingExample],
    options: TrainingOptions,
    format: Format,  # noqa: A002
) -> list[EncodedExample]:
    """Encode every example, in order (see encode_example)."""
    return [
        encode_example(
            tokenizer,
            example,
            format=format,
            max_tokens=options.max_tokens,
            prompt_loss_weight=options.prompt_loss_weight,
        )
        for example in examples
    ]


def encode_example(
    tokenizer: Any,
    example: TrainingExample,
    *,
    format: Format,  # noqa: A002
    max_tokens: int,
    prompt_loss_weight: float,
) -> EncodedExample:
    """Tokenise prompt and label together, and cut the post from its end until both fit `max_tokens`.

    The label's tokens are those that reach into the completion's characters, and the end-of-sequence
    token where the example ends. Nothing but the prompt's truncatable span is ever cut.

    Raises:
        ExampleError: the label is empty, or does not fit even with nothing left of the post.
    """
    formatted = format_prompt(tokenizer, example.prompt, format)
    completion = example.completion.lstrip() if format == "chat" else example.completion
    ending = [tokenizer.eos_token_id] if example.ends else []
    if not completion and not ending:
        raise ExampleError(f"example {example.prompt.example_id!r} has an empty completion; there is nothing to learn")
    special = frozenset(tokenizer.all_special_ids)
    start, end = formatted.truncatable or (0, 0)
    kept = end
    while True:
        prompt_text = formatted.text[:kept] + formatted.text[end:]
        encoding = tokenizer(
            prompt_text + completion,
            add_special_tokens=formatted.adds_special_tokens,
            return_offsets_mapping=True,
            verbose=False,
        )
        ids, offsets = _without_final_special(encoding["input_ids"], encoding["offset_mapping"], special)
        excess = len(ids) + len(ending) - max_tokens
        if excess <= 0:
            break
        if kept == start:
            raise ExampleError(_too_long(example, len(ids) + len(ending), max_tokens))
        kept = _cut(offsets, start, kept, excess)
    in_label = [span[1] > len(prompt_text) for span in offsets] + [True] * len(ending)
    weights = [1.0 if label else prompt_loss_weight for label in in_label]
    return EncodedExample(tuple(ids + ending), tuple(weights), truncated=kept < end)


def _too_long(example: TrainingExample, n_tokens: int, max_tokens: int) -> str:
    return (
        f"example {example.prompt.example_id!r} has {n_tokens} tokens of prompt and completion without its post, "
        f"expected at most max_tokens = {max_tokens}; raise max_tokens, or shorten the template or the completion"
    )


def _cut(offsets: Sequence[tuple[int, int]], start: int, kept: int, excess: int) -> int:
    """Return where to end the post so that at least `excess` tokens fewer remain (or none of the post)."""
    ends = [span[1] for span in offsets]
    last = bisect_left(ends, kept)  # the post's last token
    first_dropped = max(last - excess + 1, 0)
    return max(start, min(offsets[first_dropped][0], kept - 1))


def _without_final_special(
    ids: list[int], offsets: list[tuple[int, int]], special: frozenset[int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Drop special tokens that the tokenizer itself puts behind the text: whether it ends is the example's to say."""
    n = len(ids)
    while n and offsets[n - 1][0] == offsets[n - 1][1] and ids[n - 1] in special:
        n -= 1
    return ids[:n], offsets[:n]
