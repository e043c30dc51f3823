"""Fits reward models of the three kinds on people's comparisons (paper, appendix on reward models).

Those that answer in words are trained like any other language model: the question is the prompt, and " Yes" or
" No", " A" or " B", the completion.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.reward_models import Pair, RewardInput, RewardModelKind
from ilf_kedro.reward_models.questions import answers, pair_question, question
from ilf_kedro.schemas import Comparisons, DataFrame
from ilf_kedro.training.examples import PreferencePair, TrainingExample
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.preferences import train_on_preferences
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

__all__ = ["fit_reward_model", "pair_examples", "preference_pairs", "reward_examples"]


def fit_reward_model(
    kind: RewardModelKind,
    base: ModelSource,
    comparisons: DataFrame[Comparisons],
    template: PromptTemplate,
    options: TrainingOptions,
    *,
    seed: int,
    workspace: TrainingWorkspace,
    label: str,
) -> Checkpoint:
    """Train a reward model of a kind, or return the finished training with the same content hash.

    `batch_size` and `micro_batch_size` count outputs, two to a comparison, so that all kinds make the same
    number of optimiser steps on the same comparisons.

    Raises:
        TemplateError: the template lacks a slot or an answer that the kind needs.
        ExampleError: there are no comparisons, or one cannot be trained on.
    """
    if kind == "yes_no":
        examples = reward_examples(comparisons, template)
        return train_language_model(base, examples, options, seed=seed, workspace=workspace, label=label)
    halves = {name: max(1, getattr(options, name) // 2) for name in ("batch_size", "micro_batch_size")}
    options = options.model_copy(update=halves)
    if kind == "a_b":
        examples = pair_examples(comparisons, template, seed)
        return train_language_model(base, examples, options, seed=seed, workspace=workspace, label=label)
    pairs = preference_pairs(comparisons, template)
    return train_on_preferences(base, pairs, options, seed=seed, workspace=workspace, label=label)


def reward_examples(comparisons: DataFrame[Comparisons], template: PromptTemplate) -> list[TrainingExample]:
    """Return two examples per comparison: the preferred output with the positive answer, the other with the negative.

    They stand side by side, the preferred one first, in the order of the comparisons.

    Raises:
        TemplateError: the template lacks a slot or an answer.
    """
    choices = answers(template)
    return [
        TrainingExample(question(template, output), f" {answer.name}", ends=False)
        for pair in _preferred_first(comparisons)
        for output, answer in zip(pair, choices, strict=True)
    ]


def pair_examples(comparisons: DataFrame[Comparisons], template: PromptTemplate, seed: int) -> list[TrainingExample]:
    """Return one example per comparison: both outputs, and which of them is preferred.

    Of every two comparisons in a row, one shows the preferred output first: which one, the seed says. So
    both answers are equally frequent (but for one), in every subset of the first comparisons too.

    Raises:
        TemplateError: the template lacks a slot or an answer.
    """
    first_is_better, second_is_better = answers(template)
    generator = random.Random(seed)  # noqa: S311  # for balance, not for secrets
    examples = []
    turned = False
    for place, pair in enumerate(_preferred_first(comparisons)):
        turned = not turned if place % 2 else generator.random() < 0.5
        prompt = pair_question(template, *(pair[::-1] if turned else pair))
        answer = second_is_better if turned else first_is_better
        examples.append(TrainingExample(prompt, f" {answer.name}", ends=False))
    return examples


def preference_pairs(comparisons: DataFrame[Comparisons], template: PromptTemplate) -> list[PreferencePair]:
    """Return what is read of the preferred output and of the other one, for each comparison.

    Raises:
        TemplateError: the template lacks a slot.
    """
    return [
        PreferencePair(question(template, preferred), question(template, other))
        for preferred, other in _preferred_first(comparisons)
    ]


def _preferred_first(comparisons: DataFrame[Comparisons]) -> Iterator[Pair]:
    for row in comparisons.to_dict("records"):
        yield RewardInput.of(row, row["chosen"]), RewardInput.of(row, row["rejected"])
