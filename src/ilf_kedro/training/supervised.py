"""Supervised training of a causal language model: finetuning, and reward models that answer in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, Format, ModelSource
from ilf_kedro.prompting import Prompt
from ilf_kedro.training.encoding import EncodedExample, encode_examples
from ilf_kedro.training.examples import TrainingExample
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.runs import TrainingData, find_or_train, run_hash, training_dtype
from ilf_kedro.training.workspace import TrainingWorkspace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ilf_kedro.training.trainer import OptimiserStepTrainer

__all__ = ["LOSS_VERSION", "train_language_model", "training_dtype", "training_hash"]

LOSS_VERSION = "2"


def train_language_model(
    base: ModelSource,
    examples: Sequence[TrainingExample],
    options: TrainingOptions,
    *,
    seed: int,
    workspace: TrainingWorkspace,
    label: str,
) -> Checkpoint:
    """Train `base` on `examples`, or return the finished training with the same content hash.

    The loss is Σ wᵢ·ceᵢ / Σ wᵢ over the tokens of a batch, where the label's tokens weigh 1 and the
    prompt's `prompt_loss_weight`. See find_or_train for the rest.

    Raises:
        ExampleError: there are no examples, or one cannot be trained on.
        DivergedError: the loss became infinite or not a number.
    """
    return find_or_train(_LabelledData(examples), base, options, seed=seed, workspace=workspace, label=label)


def training_hash(
    base: ModelSource, examples: Sequence[TrainingExample], options: TrainingOptions, *, dtype: str, seed: int
) -> str:
    """Return the content hash of a training on `examples`; see run_hash."""
    return run_hash(_LabelledData(examples), base, options, dtype=dtype, seed=seed)


@dataclass(frozen=True, slots=True)
class _LabelledData(TrainingData):
    """Prompts and the completions to imitate."""

    examples: Sequence[TrainingExample]

    method: ClassVar[str] = "supervised"

    @property
    def content(self) -> dict[str, JsonValue]:
        """See TrainingData."""
        rows: list[JsonValue] = [
            [each.prompt.text, _span(each.prompt), each.completion, each.ends] for each in self.examples
        ]
        return {"loss_version": LOSS_VERSION, "examples": rows}

    def __len__(self) -> int:
        return len(self.examples)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        format: Format,  # noqa: A002
        max_tokens: int,
        options: TrainingOptions,
    ) -> list[EncodedExample]:
        """See TrainingData."""
        return encode_examples(
            tokenizer,
            self.examples,
            format=format,
            max_tokens=max_tokens,
            prompt_loss_weight=options.prompt_loss_weight,
        )

    @staticmethod
    def trainer_class() -> type[OptimiserStepTrainer]:
        """See TrainingData."""
        from ilf_kedro.training.trainer import WeightedLossTrainer

        return WeightedLossTrainer


def _span(prompt: Prompt) -> JsonValue:
    span: list[JsonValue] = [*(prompt.truncatable or ()), *prompt.turns]
    return [*span, "chat", *prompt.shape] if prompt.chat else span or None
