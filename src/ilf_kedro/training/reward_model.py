"""Reward models that answer "is this an excellent summary?" with a word (paper, appendix on reward models).

Such a model is trained like any other: the question is the prompt, " Yes" or " No" the completion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ilf_kedro.language_models.protocol import Capability, Choice, LanguageModel, require
from ilf_kedro.prompting import Prompt, PromptTemplate, TemplateError
from ilf_kedro.schemas import Comparisons, DataFrame
from ilf_kedro.training.examples import TrainingExample

_SLOTS = {"title", "post", "summary"}


@dataclass(frozen=True, slots=True)
class SummaryToScore:
    """A summary of a post, to be scored by a reward model."""

    example_id: str
    title: str
    post: str
    summary: str


def reward_examples(comparisons: DataFrame[Comparisons], template: PromptTemplate) -> list[TrainingExample]:
    """Return two examples per comparison: the preferred summary with the positive answer, the other with the negative.

    They stand side by side, the preferred one first, in the order of the comparisons.

    Raises:
        TemplateError: the template lacks a slot or an answer.
    """
    choices = reward_choices(template)
    examples = []
    for row in comparisons.to_dict("records"):
        title = row["title"] if isinstance(row["title"], str) else ""
        summaries = row["summary_a"], row["summary_b"]
        for summary, answer in zip(summaries if row["preferred"] == "a" else summaries[::-1], choices, strict=True):
            prompt = _question(template, SummaryToScore(row["example_id"], title, row["post"], summary))
            examples.append(TrainingExample(prompt, f" {answer.name}", ends=False))
    return examples


def reward_choices(template: PromptTemplate) -> tuple[Choice, Choice]:
    """Return the positive and the negative answer of the question, each named by its first spelling.

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


def score_summaries(model: LanguageModel, template: PromptTemplate, rows: Sequence[SummaryToScore]) -> list[float]:
    """Return the reward of each summary: p(positive) ÷ (p(positive) + p(negative)), between 0 and 1.

    Raises:
        TemplateError: the template lacks a slot or an answer.
        MissingCapabilityError: the model cannot tell the probabilities of answers.
    """
    require(model, Capability.CHOICE_PROBABILITIES, user="the reward model")
    choices = reward_choices(template)
    answers = model.choice_probabilities([_question(template, row) for row in rows], choices, label="rewards")
    return [math.exp(answer.log_probabilities[0]) for answer in answers]


def _question(template: PromptTemplate, row: SummaryToScore) -> Prompt:
    if set(template.slots) != _SLOTS:
        raise TemplateError(
            f"a reward model's template needs the slots {sorted(_SLOTS)}, found {sorted(template.slots)}; "
            "change its prompt file"
        )
    return template.render(row.example_id, title=row.title, post=row.post, summary=row.summary)
