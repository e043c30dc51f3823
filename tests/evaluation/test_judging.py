"""Judging with small judges whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest

from ilf_kedro.evaluation.judging import judge_outputs, preference_over_first
from ilf_kedro.evaluation.win_rates import judge_agreement, outcomes_from_verdicts, win_rates
from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceProbabilities, MissingCapabilityError
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.schemas import Outputs
from tests.support import example_tables

TEMPLATE = PromptTemplate(
    text="{{ title }}|{{ post }}|{{ output_a }}|{{ output_b }}",
    positive=("A", " A"),
    negative=("B", " B"),
)


class LongerIsBetter:
    """A judge that prefers the longer output, or, with `always_first`, the one that stands first."""

    name = "longer-is-better"
    revision = "1"

    def __init__(self, *, always_first: bool = False, capable: bool = True) -> None:
        self.always_first = always_first
        self.capabilities = frozenset({Capability.CHOICE_PROBABILITIES} if capable else ())
        self.prompts: list[Prompt] = []

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        """Answer p(A) = 0.8, 0.2 or, for equal lengths, 0.5."""
        self.prompts += prompts
        assert [choice.verbalizers for choice in choices] == [("A", " A"), ("B", " B")]
        answers = []
        for prompt in prompts:
            _, _, first, second = prompt.text.split("|")
            p = 0.8 if self.always_first or len(first) > len(second) else 0.5 if len(first) == len(second) else 0.2
            answers.append(ChoiceProbabilities((math.log(p), math.log(1 - p)), covered=0.9))
        return answers


def examples(human: Sequence[str | None] = ("aaa", "bbb", "ccc")) -> pd.DataFrame:
    ids = [f"e{i}" for i in range(len(human))]
    return example_tables.examples(len(human), "test", example_id=ids, title=None, reference=list(human))


def outputs() -> pd.DataFrame:
    rows = [("e0", "m", 0, "long text"), ("e0", "m", 1, "!"), ("e1", "m", 0, "x"), ("e2", "m", 0, "{p}")]
    table = pd.DataFrame(rows, columns=["example_id", "model", "sample_index", "text"])
    filled = table.assign(raw_text="", finish_reason="stop", n_tokens=1, seed=0)
    return Outputs.validate(filled[Outputs.column_names()])


def test_each_pair_is_asked_in_both_orders_with_the_first_sample_only() -> None:
    judge = LongerIsBetter()
    verdicts = judge_outputs(judge, TEMPLATE, examples(), outputs())
    assert sorted(prompt.text for prompt in judge.prompts) == sorted(
        [
            "|post 0|long text|aaa",
            "|post 0|aaa|long text",
            "|post 1|x|bbb",
            "|post 1|bbb|x",
            "|post 2|{p}|ccc",
            "|post 2|ccc|{p}",
        ]
    )
    assert set(verdicts["judged_by"]) == {"longer-is-better"}
    assert set(verdicts["covered"]) == {0.9}
    outcomes = outcomes_from_verdicts(verdicts).set_index("example_id")["outcome"].to_dict()
    assert outcomes == {"e0": 1.0, "e1": 0.0, "e2": 0.5}


def test_a_judge_that_always_takes_the_first_gives_ties() -> None:
    verdicts = judge_outputs(LongerIsBetter(always_first=True), TEMPLATE, examples(), outputs())
    outcomes = outcomes_from_verdicts(verdicts)
    assert outcomes["outcome"].tolist() == [0.5] * 3
    assert not outcomes["agrees"].any()


def test_a_refusal_is_no_verdict_and_no_tie() -> None:
    class Refusing(LongerIsBetter):
        def choice_probabilities(
            self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
        ) -> list[ChoiceProbabilities]:
            answers = super().choice_probabilities(prompts, choices)
            even = ChoiceProbabilities((math.log(0.5), math.log(0.5)), covered=0.0, bound=0.5)
            refused = [prompt.text.endswith("|bbb") for prompt in prompts]  # where the reference of e1 stands second
            return [even if each else answer for each, answer in zip(refused, answers, strict=True)]

    verdicts = judge_outputs(Refusing(), TEMPLATE, examples(), outputs()).set_index(["example_id", "order"])
    assert verdicts.loc[("e1", "model_first"), "prefers"] == "undefined"
    assert math.isnan(verdicts.loc[("e1", "model_first"), "p_first"])
    assert verdicts.loc[("e1", "baseline_first"), "prefers"] == "baseline"
    outcomes = outcomes_from_verdicts(verdicts.reset_index())
    assert outcomes.set_index("example_id")["outcome"].to_dict() == {"e0": 1.0, "e2": 0.5}


def test_only_as_many_posts_are_judged_as_asked_and_those_with_references() -> None:
    verdicts = judge_outputs(LongerIsBetter(), TEMPLATE, examples((None, "bbb", "ccc")), outputs(), n_judged=1)
    assert set(verdicts["example_id"]) == {"e1"}


def test_without_references_nothing_is_asked_and_there_are_no_win_rates() -> None:
    judge = LongerIsBetter()
    verdicts = judge_outputs(judge, TEMPLATE, examples((None, " ")), outputs())
    assert verdicts.empty
    assert judge.prompts == []
    outcomes = outcomes_from_verdicts(verdicts)
    assert outcomes.empty
    assert win_rates(outcomes).empty
    assert judge_agreement(verdicts, confidence=0.95).empty


def test_a_judge_that_cannot_weigh_choices_is_refused_before_any_request() -> None:
    judge = LongerIsBetter(capable=False)
    with pytest.raises(MissingCapabilityError, match="the judge needs"):
        judge_outputs(judge, TEMPLATE, examples(), outputs())
    assert judge.prompts == []


def test_candidates_are_compared_with_the_first_in_both_orders() -> None:
    judge, table = LongerIsBetter(), example_tables.examples(2, "test")
    rows = [("test-0", "mid."), ("test-0", "longest."), ("test-0", "a."), ("test-0", "mid."), ("test-0", "")]
    rows += [("test-1", ""), ("test-1", "aa."), ("test-1", "bbbb.")]
    texts = pd.DataFrame(rows, columns=["example_id", "text"], index=range(10, 18))
    preferred = preference_over_first(judge, TEMPLATE, table, texts)  # type: ignore[arg-type]
    assert preferred.tolist() == pytest.approx([0.5, 0.8, 0.2, 0.5, 0, 0, 0.5, 0.8])
    assert preferred.index.tolist() == texts.index.tolist()
    assert len(judge.prompts) == 3 * 2  # equal and empty texts are not asked about
    by_place = preference_over_first(LongerIsBetter(always_first=True), TEMPLATE, table, texts)  # type: ignore[arg-type]
    assert by_place[11] == by_place[12] == 0.5  # what the place decides says nothing
