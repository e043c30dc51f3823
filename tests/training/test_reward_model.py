from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from ilf_kedro.language_models.checkpoint import ModelSource
from ilf_kedro.language_models.local import LocalLanguageModel
from ilf_kedro.language_models.protocol import Capability, Choice, ChoiceProbabilities, MissingCapabilityError
from ilf_kedro.prompting import Prompt, PromptTemplate, TemplateError
from ilf_kedro.schemas import Comparisons
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.reward_model import SummaryToScore, reward_choices, reward_examples, score_summaries
from ilf_kedro.training.supervised import train_language_model
from ilf_kedro.training.workspace import TrainingWorkspace

TEMPLATE = PromptTemplate(
    text="Title: {title}\nText: {post}\nTL;DR: {summary}\nGood?",
    slots=("title", "post", "summary"),
    positive=("Yes", " Yes"),
    negative=("No", " No"),
)


def comparisons() -> pd.DataFrame:
    rows = [
        ("e0", "A title", "The post.", "good", "bad", "a"),
        ("e1", None, "Another {summary}.", "worse", "better", "b"),
    ]
    table = pd.DataFrame(rows, columns=["example_id", "title", "post", "summary_a", "summary_b", "preferred"])
    table["split"], table["position"] = "train", range(len(table))
    return Comparisons.validate(table)


def test_each_comparison_gives_a_yes_and_a_no() -> None:
    examples = reward_examples(comparisons(), TEMPLATE)
    assert [(e.prompt.text, e.completion, e.ends) for e in examples] == [
        ("Title: A title\nText: The post.\nTL;DR: good\nGood?", " Yes", False),
        ("Title: A title\nText: The post.\nTL;DR: bad\nGood?", " No", False),
        ("Title: \nText: Another {summary}.\nTL;DR: better\nGood?", " Yes", False),
        ("Title: \nText: Another {summary}.\nTL;DR: worse\nGood?", " No", False),
    ]
    assert [e.prompt.example_id for e in examples] == ["e0", "e0", "e1", "e1"]
    start, end = examples[0].prompt.truncatable or (0, 0)
    assert examples[0].prompt.text[start:end] == "The post."


def test_the_choices_are_the_templates_answers() -> None:
    assert reward_choices(TEMPLATE) == (Choice("Yes", ("Yes", " Yes")), Choice("No", ("No", " No")))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (TEMPLATE.model_copy(update={"negative": ()}), r"negative: \[\]"),
        (PromptTemplate(text="{post} {summary}", slots=("post", "summary"), positive=("Y",), negative=("N",)), "title"),
    ],
)
def test_a_template_that_asks_no_such_question_is_refused(template: PromptTemplate, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        reward_examples(comparisons(), template)


class TableModel:
    """Answers from a table: p(Yes) by the summary's text."""

    name = revision = "table"

    def __init__(self, p_yes: dict[str, float], capabilities: frozenset[Capability]) -> None:
        self._p_yes, self.capabilities = p_yes, capabilities

    def choice_probabilities(
        self, prompts: Sequence[Prompt], choices: Sequence[Choice], *, label: str = ""
    ) -> list[ChoiceProbabilities]:
        assert [choice.name for choice in choices] == ["Yes", "No"]
        p = [self._p_yes[prompt.text.split("TL;DR: ")[1].split("\n")[0]] for prompt in prompts]
        return [ChoiceProbabilities((math.log(each), math.log1p(-each))) for each in p]


def test_a_reward_is_the_probability_of_the_positive_answer() -> None:
    model: Any = TableModel({"good": 0.9, "bad": 0.2}, frozenset(Capability))
    rows = [SummaryToScore("e0", "t", "p", "bad"), SummaryToScore("e1", "t", "p", "good")]
    assert score_summaries(model, TEMPLATE, rows) == pytest.approx([0.2, 0.9])
    assert score_summaries(model, TEMPLATE, []) == []


def test_a_model_that_cannot_answer_is_refused_before_it_is_asked() -> None:
    model: Any = TableModel({}, frozenset({Capability.GENERATE}))
    with pytest.raises(MissingCapabilityError, match="the reward model needs"):
        score_summaries(model, TEMPLATE, [SummaryToScore("e0", "t", "p", "s")])


def test_a_reward_model_learns_what_is_preferred(base: ModelSource, workspace: TrainingWorkspace) -> None:
    """Summaries with the word "fine" are preferred; after training, unseen ones with it get the higher reward."""
    words = ["lake", "road", "bread", "stone", "light", "cloud"]
    rows = [(f"e{i}", None, f"Post {i}.", f"{w} fine", f"{w} poor", "a") for i, w in enumerate(words[:4])]
    table = pd.DataFrame(rows, columns=["example_id", "title", "post", "summary_a", "summary_b", "preferred"])
    table["split"], table["position"] = "train", range(len(table))
    checkpoint = train_language_model(
        base,
        reward_examples(Comparisons.validate(table), TEMPLATE),
        TrainingOptions(method="full", dtype="float32", learning_rate=1e-2, epochs=20, batch_size=2),
        seed=0,
        workspace=workspace,
        label="reward model",
    )
    model = LocalLanguageModel(base).with_checkpoint(checkpoint)
    good, bad = (
        score_summaries(model, TEMPLATE, [SummaryToScore(w, "", "Post 9.", f"{w} {kind}") for w in words[4:]])
        for kind in ("fine", "poor")
    )
    assert min(good) > 0.8
    assert max(bad) < 0.2
