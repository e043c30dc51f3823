"""A judge's ranks: every two texts in both orders, Copeland's count, ties where the orders disagree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.evaluation.judge_rankings import copeland_ranks, judge_ranks
from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceProbabilities, MissingCapabilityError
from ilf_kedro.prompting import Prompt, PromptTemplate
from tests.support import example_tables

TEMPLATE = PromptTemplate(
    text="{{ title }}|{{ post }}|{{ output_a }}|{{ output_b }}|",
    positive=("A",),
    negative=("B",),
)


class Judge:
    """Answers by a function of the two outputs, in the order shown."""

    name, revision = "scripted", "0"

    def __init__(self, p_first: Callable[[str, str], float], *, able: bool = True) -> None:
        self.p_first, self.asked = p_first, 0
        self.capabilities = frozenset({Capability.CHOICE_PROBABILITIES} if able else {Capability.EMBED})

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        assert [choice.verbalizers for choice in choices] == [("A",), ("B",)]
        self.asked += len(prompts)
        answers = [self.p_first(*prompt.text.split("|")[2:4]) for prompt in prompts]
        # An answer of which nothing is on A or B stands for a refusal.
        return [
            ChoiceProbabilities((math.log(p or 0.5), math.log(1 - (p or 0.5))), covered=float(p > 0)) for p in answers
        ]


def ranks(judge: Judge, *texts: list[str]) -> list[list[int]]:
    examples = example_tables.examples(len(texts))
    return [each.tolist() if each is not None else [] for each in judge_ranks(judge, TEMPLATE, examples, texts)]  # type: ignore[arg-type]


def test_a_judge_of_length_ranks_by_length_in_any_order() -> None:
    judge = Judge(lambda one, other: 0.5 + 0.4 * math.tanh(len(one) - len(other)))
    assert ranks(judge, ["bb", "a", "dddd", "ccc"], ["x", "yy"]) == [[3, 4, 1, 2], [2, 1]]
    assert judge.asked == 6 * 2 + 1 * 2


def test_a_judge_that_always_takes_the_first_ranks_nothing() -> None:
    assert ranks(Judge(lambda *_: 0.9), ["a", "bb", "ccc"]) == [[1, 1, 1]]


def test_an_even_answer_in_one_order_is_a_tie() -> None:
    judge = Judge(lambda one, _: 0.5 if one == "a" else 0.7)
    assert ranks(judge, ["a", "bb"]) == [[1, 1]]


def test_one_lost_comparison_costs_a_rank() -> None:
    """a beats b and c, b and c disagree by position: they share the second place."""
    judge = Judge(lambda one, other: 0.9 if one == "a" else 0.1 if other == "a" else 0.8)
    assert ranks(judge, ["b", "a", "c"]) == [[2, 1, 2]]


def test_a_refused_comparison_counts_for_neither_text() -> None:
    """b and c are not compared; a beats all, d loses to all: of two comparisons each, b and c win one."""
    worth = {"a": 3, "b": 2, "c": 1, "d": 0}
    judge = Judge(lambda one, other: 0 if {one, other} == {"b", "c"} else 0.9 if worth[one] > worth[other] else 0.1)
    assert ranks(judge, ["d", "c", "b", "a"]) == [[4, 2, 2, 1]]


def test_an_example_of_which_a_text_is_refused_throughout_is_not_ranked() -> None:
    judge = Judge(lambda one, other: 0 if "x" in (one, other) else 0.9 if one < other else 0.1)
    assert ranks(judge, ["a", "x", "b"], ["b", "a"]) == [[], [2, 1]]


@given(st.permutations(range(6)))
def test_an_order_without_contradiction_is_found_again(places: list[int]) -> None:
    worth = np.array(places)
    wins = (np.sign(worth[:, None] - worth[None, :]) + 1) / 2
    ranked = copeland_ranks(wins)
    assert ranked is not None
    assert ranked.tolist() == (6 - worth).tolist()


def test_a_judge_that_cannot_weigh_choices_is_refused_before_any_request() -> None:
    judge = Judge(lambda *_: 0.5, able=False)
    with pytest.raises(MissingCapabilityError, match="the judge"):
        ranks(judge, ["a", "b"])
    assert judge.asked == 0
