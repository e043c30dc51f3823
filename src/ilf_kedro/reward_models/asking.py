"""Reward models that are asked in words: any language model whose backend tells the probabilities of answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import scipy

from ilf_kedro.language_models.protocol import Capability, ChoiceModel, ChoiceProbabilities, require
from ilf_kedro.prompting import PromptTemplate, split_sentences
from ilf_kedro.reward_models.protocol import Pair, PairRewards, RewardInput
from ilf_kedro.reward_models.questions import PAIR_SLOTS, SLOTS, answers, check_slots, pair_question, question

__all__ = ["PairwiseRewardModel", "YesNoRewardModel"]


class _PromptedRewardModel:
    """What asks a language model one question per template and reads the probabilities of its two answers.

    Raises:
        TemplateError: the template lacks a slot or an answer.
        MissingCapabilityError: the model cannot tell the probabilities of answers.
    """

    slots: ClassVar[frozenset[str]]

    def __init__(self, model: ChoiceModel, template: PromptTemplate) -> None:
        require(model, Capability.CHOICE_PROBABILITIES, user="the reward model")
        check_slots(template, self.slots)
        self._model, self._template, self._choices = model, template, answers(template)

    @property
    def name(self) -> str:
        """See RewardModel."""
        return self._model.name


class YesNoRewardModel(_PromptedRewardModel):
    """Asks any language model whether an output is excellent; the reward is p(Yes) ÷ (p(Yes) + p(No))."""

    slots = SLOTS

    def rewards(self, outputs: Sequence[RewardInput], *, label: str = "rewards") -> list[float]:
        """See RewardModel."""
        prompts = [question(self._template, output) for output in outputs]
        replies = self._model.choice_probabilities(prompts, self._choices, label=label)
        return [reply.probability(0) for reply in replies]

    def compare(self, pairs: Sequence[Pair], *, label: str = "rewards") -> list[PairRewards]:
        """See RewardModel; each output is read without sight of the other."""
        rewards = self.rewards([output for pair in pairs for output in pair], label=label)
        return [PairRewards(*pair) for pair in zip(rewards[::2], rewards[1::2], strict=True)]


class PairwiseRewardModel(_PromptedRewardModel):
    """Shows any language model two outputs, in both orders, and asks which is better: A or B.

    The log-odds of both orders are averaged, so that a constant liking for a position cancels out. A
    output's reward is the probability that it is preferred to the first sentence of its input: an opponent
    that every input has, and that is the same for all its outputs.
    """

    slots = PAIR_SLOTS

    def rewards(self, outputs: Sequence[RewardInput], *, label: str = "rewards") -> list[float]:
        """See RewardModel."""
        pairs = [(output, _opponent(output, self._template)) for output in outputs]
        return [float(scipy.special.expit(_mean_log_odds(forth, back))) for forth, back in self._ask(pairs, label)]

    def compare(self, pairs: Sequence[Pair], *, label: str = "rewards") -> list[PairRewards]:
        """See RewardModel; the rewards of a pair share its log-odds evenly."""
        compared = []
        for forth, back in self._ask(pairs, label):
            half = _mean_log_odds(forth, back) / 2
            shown_first, shown_second = forth.probability(0), back.probability(1)
            compared.append(
                PairRewards(
                    float(scipy.special.expit(half)), float(scipy.special.expit(-half)), (shown_first, shown_second)
                )
            )
        return compared

    def _ask(self, pairs: Sequence[Pair], label: str) -> list[tuple[ChoiceProbabilities, ChoiceProbabilities]]:
        """Return the answers on each pair as it is, and turned round."""
        prompts = [pair_question(self._template, *shown) for pair in pairs for shown in (pair, pair[::-1])]
        replies = self._model.choice_probabilities(prompts, self._choices, label=label)
        return list(zip(replies[::2], replies[1::2], strict=True))


def _opponent(output: RewardInput, template: PromptTemplate) -> RewardInput:
    """Return the first sentence of the input that may be truncated, else of the longest one shown."""
    shown = {name: text for name, text in output.inputs.items() if name in template.slots}
    text = shown.get(template.truncate or "") or max(shown.values(), key=len, default="")
    return replace(output, output=next(iter(split_sentences(text)), text))


def _mean_log_odds(forth: ChoiceProbabilities, back: ChoiceProbabilities) -> float:
    """Return the log-odds of preferring the output that `forth` shows first and `back` second.

    NaN where either answer is undefined.
    """
    if not (forth.defined and back.defined):
        return math.nan
    (first, second), (other_first, other_second) = forth.log_probabilities, back.log_probabilities
    return ((first - second) + (other_second - other_first)) / 2
