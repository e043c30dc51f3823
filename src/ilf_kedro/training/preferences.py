"""Training of a reward model with a scalar head on pairs of outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, Format, ModelSource
from ilf_kedro.training.encoding import EncodedPair, encode_pairs
from ilf_kedro.training.examples import PreferencePair
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.runs import TrainingData, find_or_train
from ilf_kedro.training.workspace import TrainingWorkspace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ilf_kedro.training.trainer import OptimiserStepTrainer

__all__ = ["train_on_preferences"]

_LOSS_VERSION = "2"


def train_on_preferences(
    base: ModelSource,
    pairs: Sequence[PreferencePair],
    options: TrainingOptions,
    *,
    seed: int,
    workspace: TrainingWorkspace,
    label: str,
) -> Checkpoint:
    """Put a scalar head on `base` and train both, or return the finished training with the same content hash.

    The loss is the mean of −log σ(r_preferred − r_other) over the pairs of a batch (`batch_size` counts
    pairs), where r is the head's score of the hidden state at the end of the prompt; the head has no bias,
    which would cancel out. See find_or_train for the rest.

    Raises:
        ExampleError: there are no pairs, or one does not fit the model's context.
        DivergedError: the loss became infinite or not a number.
    """
    return find_or_train(_PreferenceData(pairs), base, options, seed=seed, workspace=workspace, label=label)


@dataclass(frozen=True, slots=True)
class _PreferenceData(TrainingData):
    """Pairs of prompts, one with the preferred output and one with the other."""

    pairs: Sequence[PreferencePair]

    method: ClassVar[str] = "preference"
    unused_options: ClassVar[frozenset[str]] = frozenset({"prompt_loss_weight"})

    @property
    def content(self) -> dict[str, JsonValue]:
        """See TrainingData."""
        rows: list[JsonValue] = [
            [
                [pair.preferred.text, [*(pair.preferred.truncatable or ()), *pair.preferred.turns]],
                [pair.other.text, [*(pair.other.truncatable or ()), *pair.other.turns]],
            ]
            for pair in self.pairs
        ]
        return {"preference_loss_version": _LOSS_VERSION, "pairs": rows}

    def __len__(self) -> int:
        return len(self.pairs)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        format: Format,  # noqa: A002
        max_tokens: int,
        options: TrainingOptions,
    ) -> list[EncodedPair]:
        """See TrainingData."""
        return encode_pairs(tokenizer, self.pairs, format=format, max_tokens=max_tokens)

    @staticmethod
    def trainer_class() -> type[OptimiserStepTrainer]:
        """See TrainingData."""
        from ilf_kedro.training.preference_trainer import PreferenceTrainer

        return PreferenceTrainer
