"""From prompts and labels to tokens and their loss weights, formatted as for sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ilf_kedro.language_models.checkpoints.checkpoint import Format
from ilf_kedro.language_models.local.formatting import Formatter, PromptTooLongError
from ilf_kedro.training.errors import ExampleError
from ilf_kedro.training.examples import PreferencePair, TrainingExample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True, eq=False)
class EncodedExample:
    """The token ids of a prompt and its label (int32, kept small: a data set stays in memory), and their weights.

    The label begins at `label_start` and weighs 1; what stands before it weighs `prompt_loss_weight`.
    `truncated`: the end of the input was truncated.
    """

    input_ids: NDArray[np.int32]
    label_start: int
    prompt_loss_weight: float
    truncated: bool

    @property
    def n_tokens(self) -> int:
        """The number of tokens of prompt and label."""
        return len(self.input_ids)

    @property
    def loss_weights(self) -> NDArray[np.float32]:
        """The loss weight of each token."""
        weights = np.ones(len(self.input_ids), dtype=np.float32)
        weights[: self.label_start] = self.prompt_loss_weight
        return weights


def encode_examples(
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[TrainingExample],
    *,
    format: Format,  # noqa: A002
    max_tokens: int,
    prompt_loss_weight: float,
) -> list[EncodedExample]:
    """Tokenise prompt and label of each example together, and truncate its input from the end until both fit.

    `tokenizer` is of transformers. The label's tokens are those that reach into the completion's
    characters, and where the example ends the token that ends an answer (in chat format, the template's); they
    are never truncated. In chat format the answer begins without a blank.

    Raises:
        ExampleError: a label is empty, or does not fit even with nothing left of the input.
    """
    encoded = []
    formatters = {ends: Formatter(tokenizer, format, max_tokens - ends) for ends in (False, True)}
    for example in examples:
        end = formatters[example.ends].end
        if end is None and example.ends:
            raise ExampleError(
                f"the tokenizer of {tokenizer.name_or_path} has no token that ends a text, which the model would have "
                "to learn to write; name an eos_token in its tokenizer_config.json"
            )
        ending = (end,) if example.ends else ()
        completion = example.completion.lstrip() if format == "chat" else example.completion
        if not completion and not ending:
            raise ExampleError(f"example {example.prompt.example_id!r} has an empty completion: nothing to learn")
        try:
            formatted, joint = formatters[example.ends].continuation(example.prompt, completion)
        except PromptTooLongError as error:
            raise ExampleError(
                f"prompt and completion of example {example.prompt.example_id!r} do not fit max_tokens = {max_tokens}, "
                "even with its input truncated; raise max_tokens, or shorten the template or the completion"
            ) from error
        tokens = joint.tokens + ending
        ids = np.array(tokens, dtype=np.int32)
        encoded.append(EncodedExample(ids, joint.start, prompt_loss_weight, truncated=formatted.n_truncated_tokens > 0))
    return encoded


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPair:
    """The token ids of what is read of the preferred output and of the other one.

    `truncated`: the end of the input was truncated in one of them. `weight`: how much the pair counts.
    """

    preferred: NDArray[np.int32]
    other: NDArray[np.int32]
    truncated: bool
    weight: float = 1.0

    @property
    def n_tokens(self) -> int:
        """The number of tokens of the longer one, to which the other one is padded."""
        return max(len(self.preferred), len(self.other))


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[PreferencePair],
    *,
    format: Format,  # noqa: A002
    max_tokens: int,
) -> list[EncodedPair]:
    """Tokenise both prompts of each pair, and truncate an input from the end until its prompt fits.

    Raises:
        ExampleError: a prompt does not fit even with nothing left of the input.
    """
    formatter = Formatter(tokenizer, format, max_tokens)
    encoded = []
    for pair in pairs:
        try:
            preferred, other = (formatter.prompt(prompt, 0) for prompt in (pair.preferred, pair.other))
        except PromptTooLongError as error:
            raise ExampleError(
                f"an output of example {pair.preferred.example_id!r} does not fit max_tokens = {max_tokens}, "
                "even with its input truncated; raise max_tokens, or shorten the template"
            ) from error
        first, second = (np.array(formatted.tokens, dtype=np.int32) for formatted in (preferred, other))
        encoded.append(
            EncodedPair(first, second, truncated=preferred.n_truncated_tokens + other.n_truncated_tokens > 0)
        )
    return encoded
