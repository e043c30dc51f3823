"""Reward models: how good a summary of a post is (paper, appendix on reward models).

There are three kinds, and one scale. A reward lies between 0 and 1, and the log-odds of preferring one
summary to another is the difference of the log-odds of their rewards (Bradley and Terry 1952).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from scipy.special import expit

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint
from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceProbabilities, LanguageModel, require
from ilf_kedro.prompting import Prompt, PromptTemplate, TemplateError, split_sentences
from ilf_kedro.schemas import UserError

__all__ = [
    "PairRewards",
    "PairwiseRewardModel",
    "RewardModel",
    "RewardModelKind",
    "SummaryToScore",
    "YesNoRewardModel",
    "answers",
    "open_reward_model",
    "pair_question",
    "question",
]

RewardModelKind = Literal["yes_no", "classification", "a_b"]

SLOTS = frozenset({"title", "post", "summary"})
PAIR_SLOTS = frozenset({"title", "post", "summary_a", "summary_b"})


@dataclass(frozen=True, slots=True)
class SummaryToScore:
    """A summary of a post, to be scored by a reward model."""

    example_id: str
    title: str
    post: str
    summary: str


@dataclass(frozen=True, slots=True)
class PairRewards:
    """The rewards of two summaries of one post, which tell the probability that the first is preferred.

    `in_orders`: that probability where the first summary was shown first, and where it was shown second;
    None for a reward model that reads each summary alone.
    """

    first: float
    second: float
    in_orders: tuple[float, float] | None = None


Pair = tuple[SummaryToScore, SummaryToScore]


class RewardModel(Protocol):
    """What rewards summaries. Rewards come back in the order asked, each between 0 and 1."""

    @property
    def name(self) -> str:
        """The language model's name, for logs and reports."""
        ...

    def rewards(self, summaries: Sequence[SummaryToScore], *, label: str = "rewards") -> list[float]:
        """Return each summary's reward, which depends on it and its post alone."""
        ...

    def compare(self, pairs: Sequence[Pair], *, label: str = "rewards") -> list[PairRewards]:
        """Return the rewards of both summaries of each pair, as they stand to each other."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """A language model that can be given trained weights."""

    def with_checkpoint(self, checkpoint: Checkpoint) -> LanguageModel:
        """Return the same model with trained weights."""
        ...


class _AskingRewardModel:
    """What asks a language model one question per template and reads the probabilities of its two answers.

    Raises:
        TemplateError: the template lacks a slot or an answer.
        MissingCapabilityError: the model cannot tell the probabilities of answers.
    """

    slots: ClassVar[frozenset[str]]

    def __init__(self, model: LanguageModel, template: PromptTemplate) -> None:
        require(model, Capability.CHOICE_PROBABILITIES, user="the reward model")
        check_slots(template, self.slots)
        self._model, self._template, self._choices = model, template, answers(template)

    @property
    def name(self) -> str:
        """See RewardModel."""
        return self._model.name


class YesNoRewardModel(_AskingRewardModel):
    """Asks any language model whether a summary is excellent; the reward is p(Yes) ÷ (p(Yes) + p(No))."""

    slots = SLOTS

    def rewards(self, summaries: Sequence[SummaryToScore], *, label: str = "rewards") -> list[float]:
        """See RewardModel."""
        prompts = [question(self._template, summary) for summary in summaries]
        replies = self._model.choice_probabilities(prompts, self._choices, label=label)
        return [math.exp(reply.log_probabilities[0]) for reply in replies]

    def compare(self, pairs: Sequence[Pair], *, label: str = "rewards") -> list[PairRewards]:
        """See RewardModel; each summary is read without sight of the other."""
        rewards = self.rewards([summary for pair in pairs for summary in pair], label=label)
        return [PairRewards(*pair) for pair in zip(rewards[::2], rewards[1::2], strict=True)]


class PairwiseRewardModel(_AskingRewardModel):
    """Shows any language model two summaries, in both orders, and asks which is better: A or B.

    The log-odds of both orders are averaged, so that a constant liking for a position cancels out. A
    summary's reward is the probability that it is preferred to the first sentence of its post: an opponent
    that every post has, and that is the same for all its summaries.
    """

    slots = PAIR_SLOTS

    def rewards(self, summaries: Sequence[SummaryToScore], *, label: str = "rewards") -> list[float]:
        """See RewardModel."""
        pairs = [(summary, _opponent(summary)) for summary in summaries]
        return [float(expit(_mean_log_odds(forth, back))) for forth, back in self._ask(pairs, label)]

    def compare(self, pairs: Sequence[Pair], *, label: str = "rewards") -> list[PairRewards]:
        """See RewardModel; the rewards of a pair share its log-odds evenly."""
        compared = []
        for forth, back in self._ask(pairs, label):
            half = _mean_log_odds(forth, back) / 2
            shown_first, shown_second = math.exp(forth.log_probabilities[0]), math.exp(back.log_probabilities[1])
            compared.append(PairRewards(float(expit(half)), float(expit(-half)), (shown_first, shown_second)))
        return compared

    def _ask(self, pairs: Sequence[Pair], label: str) -> list[tuple[ChoiceProbabilities, ChoiceProbabilities]]:
        """Return the answers on each pair as it is, and turned round."""
        prompts = [pair_question(self._template, *shown) for pair in pairs for shown in (pair, pair[::-1])]
        replies = self._model.choice_probabilities(prompts, self._choices, label=label)
        return list(zip(replies[::2], replies[1::2], strict=True))


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

        check_input_format(model, template, question(template, SummaryToScore("", "title", "post", "summary")))
    return YesNoRewardModel(model, template) if kind == "yes_no" else PairwiseRewardModel(model, template)


def answers(template: PromptTemplate) -> tuple[Choice, Choice]:
    """Return the positive and the negative answer of a question, each named by its first spelling.

    Of a question about two summaries, the positive one says that the first is better.

    Raises:
        TemplateError: the template has no spelling for one of them.
    """
    if not template.positive or not template.negative:
        raise TemplateError(
            f"a reward model's template needs spellings of both answers; found positive: {list(template.positive)}, "
            f"negative: {list(template.negative)}; add them to its prompt file"
        )
    positive = Choice(template.positive[0].strip(), template.positive)
    return positive, Choice(template.negative[0].strip(), template.negative)


def question(template: PromptTemplate, summary: SummaryToScore) -> Prompt:
    """Render what a reward model reads of one summary.

    Raises:
        TemplateError: the template has other slots than title, post and summary.
    """
    check_slots(template, SLOTS)
    return template.render(summary.example_id, title=summary.title, post=summary.post, summary=summary.summary)


def pair_question(template: PromptTemplate, first: SummaryToScore, second: SummaryToScore) -> Prompt:
    """Render what a reward model reads of two summaries of one post.

    Raises:
        TemplateError: the template has other slots than title, post, summary_a and summary_b.
    """
    check_slots(template, PAIR_SLOTS)
    return template.render(
        first.example_id, title=first.title, post=first.post, summary_a=first.summary, summary_b=second.summary
    )


def check_slots(template: PromptTemplate, expected: frozenset[str]) -> None:
    """Refuse a template that has other slots than expected.

    Raises:
        TemplateError: naming both.
    """
    if set(template.slots) != expected:
        raise TemplateError(
            f"a reward model's template of this kind needs the slots {sorted(expected)}, "
            f"found {sorted(template.slots)}; change its prompt file, or name another in reward_model.prompt"
        )


def _opponent(summary: SummaryToScore) -> SummaryToScore:
    first = next(iter(split_sentences(summary.post)), summary.post)
    return SummaryToScore(summary.example_id, summary.title, summary.post, first)


def _mean_log_odds(forth: ChoiceProbabilities, back: ChoiceProbabilities) -> float:
    """Return the log-odds of preferring the summary that `forth` shows first and `back` second."""
    (first, second), (other_first, other_second) = forth.log_probabilities, back.log_probabilities
    return ((first - second) + (other_second - other_first)) / 2


def _check_kind(kind: RewardModelKind, checkpoint: Checkpoint) -> None:
    has_head = checkpoint.record.method == "preference"
    if has_head != (kind == "classification"):
        raise UserError(
            f"reward_model.kind is {kind}, but the reward model's checkpoint {checkpoint.directory.name} was trained "
            f"as {'classification' if has_head else 'yes_no or a_b'}; run the pipeline reward_model again, or set the "
            "kind back"
        )
