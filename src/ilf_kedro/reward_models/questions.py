"""The questions that reward models read: rendered from their prompt files, whose slots and answers are checked."""

from __future__ import annotations

from ilf_kedro.language_models.protocol import Choice
from ilf_kedro.prompting import Prompt, PromptTemplate, TemplateError, fill
from ilf_kedro.reward_models.protocol import RewardInput

__all__ = ["PAIR_SLOTS", "SLOTS", "answers", "check_slots", "pair_question", "question"]

SLOTS = frozenset({"output"})
PAIR_SLOTS = frozenset({"output_a", "output_b"})


def answers(template: PromptTemplate) -> tuple[Choice, Choice]:
    """Return the positive and the negative answer of a question, each named by its first spelling.

    Of a question about two outputs, the positive one says that the first is better.

    Raises:
        TemplateError: the template has no spelling for one of them.
    """
    if not template.positive or not template.negative:
        raise TemplateError(
            f"a reward model's template needs verbalizers of both answers; found positive: {list(template.positive)}, "
            f"negative: {list(template.negative)}; add them to its prompt file"
        )
    positive = Choice(template.positive[0].strip(), template.positive)
    return positive, Choice(template.negative[0].strip(), template.negative)


def question(template: PromptTemplate, output: RewardInput) -> Prompt:
    """Render what a reward model reads of one output.

    Raises:
        TemplateError: the template has no slot `output`, or one that is no input of the example.
    """
    check_slots(template, SLOTS)
    return fill(template, {**output.inputs, "example_id": output.example_id, "output": output.output})


def pair_question(template: PromptTemplate, first: RewardInput, second: RewardInput) -> Prompt:
    """Render what a reward model reads of two outputs for one input.

    Raises:
        TemplateError: the template lacks the slots `output_a` and `output_b`, or has one that is no input.
    """
    check_slots(template, PAIR_SLOTS)
    outputs = {"output_a": first.output, "output_b": second.output}
    return fill(template, {**first.inputs, "example_id": first.example_id, **outputs})


def check_slots(template: PromptTemplate, expected: frozenset[str]) -> None:
    """Refuse a template that shows other outputs than expected, beside whatever inputs.

    Raises:
        TemplateError: naming both.
    """
    if set(template.slots) & (SLOTS | PAIR_SLOTS) != expected:
        raise TemplateError(
            f"a reward model's template of this kind needs the slots {sorted(expected)} beside inputs, "
            f"found {sorted(template.slots)}; change its prompt file, or name another in reward_model.prompt"
        )
