"""The questions that reward models read: rendered from their prompt files, whose slots and answers are checked."""

from __future__ import annotations

from ilf_kedro.language_models.protocol import Choice
from ilf_kedro.prompting import Prompt, PromptTemplate, TemplateError
from ilf_kedro.reward_models.protocol import RewardInput

__all__ = ["PAIR_SLOTS", "SLOTS", "answers", "check_slots", "pair_question", "question"]

SLOTS = frozenset({"title", "post", "output"})
PAIR_SLOTS = frozenset({"title", "post", "output_a", "output_b"})


def answers(template: PromptTemplate) -> tuple[Choice, Choice]:
    """Return the positive and the negative answer of a question, each named by its first spelling.

    Of a question about two outputs, the positive one says that the first is better.

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


def question(template: PromptTemplate, output: RewardInput) -> Prompt:
    """Render what a reward model reads of one output.

    Raises:
        TemplateError: the template has other slots than title, post and output.
    """
    check_slots(template, SLOTS)
    return template.render(output.example_id, title=output.title, post=output.post, output=output.output)


def pair_question(template: PromptTemplate, first: RewardInput, second: RewardInput) -> Prompt:
    """Render what a reward model reads of two outputs for one input.

    Raises:
        TemplateError: the template has other slots than title, post, output_a and output_b.
    """
    check_slots(template, PAIR_SLOTS)
    return template.render(
        first.example_id, title=first.title, post=first.post, output_a=first.output, output_b=second.output
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
