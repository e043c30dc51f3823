"""From a language model, a checkpoint and a prompt to a reward model of the kind that is wanted."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models.asking import PairwiseRewardModel, YesNoRewardModel
from ilf_kedro.reward_models.protocol import RewardInput, RewardModel, RewardModelKind
from ilf_kedro.reward_models.questions import question
from ilf_kedro.schemas import UserError

__all__ = ["open_reward_model"]


@runtime_checkable
class Trainable(Protocol):
    """A language model that can be given trained weights."""

    def with_checkpoint(self, checkpoint: Checkpoint) -> LanguageModel:
        """Return the same model with trained weights."""
        ...


def open_reward_model(
    kind: RewardModelKind, model: LanguageModel, template: PromptTemplate, checkpoint: Checkpoint | None = None
) -> RewardModel:
    """Return the reward model of a kind: `model` with the weights of `checkpoint`, or as it is where it has none.

    The kinds yes_no and a_b ask any language model whose backend tells the probabilities of answers, an API's
    too; classification needs a local one, which has or was given a scalar head.

    Raises:
        UserError: the checkpoint is of another kind, the model cannot be given one, or it does not fit the kind.
        TemplateError: the template lacks a slot or an answer.
        MissingCapabilityError: the model cannot tell the probabilities of answers.
    """
    if checkpoint is not None and checkpoint.record.kind != "untrained":
        _check_kind(kind, checkpoint)
        if not isinstance(model, Trainable):
            raise UserError(
                f"the language model {model.name!r} cannot be given the reward model's trained weights; "
                "set reward_model.trained to false to ask it as it is, or name a local model in the catalog"
            )
        model = model.with_checkpoint(checkpoint)
    if kind == "classification":
        from ilf_kedro.reward_models.classification import ClassificationRewardModel

        return ClassificationRewardModel(model, template)
    if template.first_token or template.last_token:
        from ilf_kedro.reward_models.input_format import check_input_format

        check_input_format(model, template, question(template, _any_input(template)))
    return YesNoRewardModel(model, template) if kind == "yes_no" else PairwiseRewardModel(model, template)


def _any_input(template: PromptTemplate) -> RewardInput:
    """Return an input that fills the template, whatever it shows: only its ends are looked at."""
    return RewardInput("", {slot: slot for slot in template.slots}, "output")


def _check_kind(kind: RewardModelKind, checkpoint: Checkpoint) -> None:
    has_head = checkpoint.record.method == "preference"
    if has_head != (kind == "classification"):
        raise UserError(
            f"reward_model.kind is {kind}, but the reward model's checkpoint {checkpoint.directory.name} was trained "
            f"as {'classification' if has_head else 'yes_no or a_b'}; run the pipeline reward_model again, or set the "
            "kind back"
        )
