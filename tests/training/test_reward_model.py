"""What each kind of reward model is trained on, and that it learns what is preferred."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.prompting import PromptTemplate, TemplateError
from ilf_kedro.reward_models import RewardInput, RewardModelKind, open_reward_model
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.reward_model import fit_reward_model, pair_examples, preference_pairs, reward_examples
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support import example_tables as tables

TEMPLATE = PromptTemplate(
    text="Title: {{ title }}\nText: {{ post }}\nTL;DR: {{ output }}\nGood?",
    positive=("Yes", " Yes"),
    negative=("No", " No"),
    truncate="post",
)
PAIR_TEMPLATE = PromptTemplate(
    text="{{ title }}/{{ post }}/A: {{ output_a }}/B: {{ output_b }}/Better:",
    positive=("A", " A"),
    negative=("B", " B"),
)


def comparisons() -> pd.DataFrame:
    rows = [
        ("e0", "A title", "The post.", "good", "bad", "a"),
        ("e1", None, "Another {output}.", "worse", "better", "b"),
    ]
    return table_of(rows)


def table_of(rows: list[tuple[str, str | None, str, str, str, str]]) -> pd.DataFrame:
    ids, titles, posts = ([row[place] for row in rows] for place in range(3))
    return tables.comparisons([row[3:] for row in rows], example_id=ids, title=titles, post=posts)


def test_each_comparison_gives_a_yes_and_a_no() -> None:
    examples = reward_examples(comparisons(), TEMPLATE)
    assert [(e.prompt.text, e.completion, e.ends) for e in examples] == [
        ("Title: A title\nText: The post.\nTL;DR: good\nGood?", " Yes", False),
        ("Title: A title\nText: The post.\nTL;DR: bad\nGood?", " No", False),
        ("Title: \nText: Another {output}.\nTL;DR: better\nGood?", " Yes", False),
        ("Title: \nText: Another {output}.\nTL;DR: worse\nGood?", " No", False),
    ]
    assert [e.prompt.example_id for e in examples] == ["e0", "e0", "e1", "e1"]
    start, end = examples[0].prompt.truncatable or (0, 0)
    assert examples[0].prompt.text[start:end] == "The post."


def test_a_pair_is_what_is_read_of_the_preferred_output_and_of_the_other() -> None:
    assert [
        (pair.preferred.text[-10:], pair.other.text[-10:]) for pair in preference_pairs(comparisons(), TEMPLATE)
    ] == [
        ("good\nGood?", " bad\nGood?"),
        ("tter\nGood?", "orse\nGood?"),
    ]


class TestPairExamples:
    ROWS = table_of([(f"e{i}", None, "Post.", "good", "bad", "a") for i in range(9)])

    def shown(self, seed: int, n: int = 9) -> list[str]:
        """The order of each prompt and its label, which must agree."""
        orders = []
        for example in pair_examples(self.ROWS.head(n), PAIR_TEMPLATE, seed):
            first = "A" if "A: good/B: bad" in example.prompt.text else "B"
            assert ("A: good" in example.prompt.text) != ("B: good" in example.prompt.text)
            assert (example.completion, example.ends) == (f" {first}", False)
            orders.append(first)
        return orders

    def test_the_label_is_the_preferred_output_and_both_are_equally_frequent(self) -> None:
        for seed in range(5):
            orders = self.shown(seed)
            assert all(set(orders[i : i + 2]) == {"A", "B"} for i in range(0, 8, 2))
            assert orders[:4] == self.shown(seed, 4)  # a smaller subset shows its comparisons the same way

    def test_the_seed_decides_the_orders(self) -> None:
        drawn = Counter(tuple(self.shown(seed)) for seed in range(12))
        assert len(drawn) > 3
        assert self.shown(3) == self.shown(3)


@pytest.mark.parametrize(
    ("make", "template", "message"),
    [
        (reward_examples, TEMPLATE.model_copy(update={"negative": ()}), r"negative: \[\]"),
        (reward_examples, PAIR_TEMPLATE, r"found \['output_a', 'output_b', 'post', 'title'\]"),
        (preference_pairs, PAIR_TEMPLATE, "needs the slots"),
        (lambda table, template: pair_examples(table, template, 0), TEMPLATE, r"needs the slots \['output_a'"),
    ],
)
def test_a_template_that_asks_no_such_question_is_refused(make, template: PromptTemplate, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        make(comparisons(), template)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_scalar_head_learns_what_is_preferred(base: ModelSource, workspace: TrainingWorkspace, method: str) -> None:
    accuracies = learn("classification", base, workspace, method, 1e-2 if method == "full" else 5e-2)
    assert accuracies == [1.0, 1.0]


@pytest.mark.slow
def test_a_yes_or_no_reward_model_learns_what_is_preferred(base: ModelSource, workspace: TrainingWorkspace) -> None:
    assert learn("yes_no", base, workspace, "full", 1e-2) == [1.0, 1.0]


def learn(
    kind: RewardModelKind, base: ModelSource, workspace: TrainingWorkspace, method: str, rate: float
) -> list[float]:
    """Train where outputs with the word "fine" are preferred; return how often unseen ones with it win.

    Once with the rewards of a comparison, once with the rewards of each output for itself.
    """
    words = ["lake", "road", "bread", "stone", "light", "cloud"]
    table = table_of([(f"e{i}", None, f"Post {i}.", f"{w} fine", f"{w} poor", "a") for i, w in enumerate(words[:4])])
    template = PAIR_TEMPLATE if kind == "a_b" else TEMPLATE
    options = TrainingOptions(method=method, dtype="float32", learning_rate=rate, epochs=20, batch_size=2)  # type: ignore[arg-type]
    checkpoint = fit_reward_model(
        kind, base, table, template, options, seed=0, workspace=workspace, label="reward model"
    )
    model = open_reward_model(kind, LocalLanguageModel(base), template, checkpoint)
    good, bad = (
        [RewardInput(w, {"title": "", "post": "Post 9."}, f"{w} {kind}") for w in words[4:]]
        for kind in ("fine", "poor")
    )
    compared = model.compare(list(zip(good, bad, strict=True)))
    alone = list(zip(model.rewards(good), model.rewards(bad), strict=True))
    return [
        sum(pair.first > pair.second for pair in compared) / len(compared),
        sum(better > worse for better, worse in alone) / len(alone),
    ]


@pytest.mark.parametrize("kind", ["yes_no", "classification", "a_b"])
def test_every_kind_makes_the_same_number_of_steps(
    base: ModelSource, workspace: TrainingWorkspace, kind: RewardModelKind
) -> None:
    """A batch of 4 outputs is that of 2 comparisons: 5 comparisons are 3 steps."""
    table = table_of([(f"e{i}", None, "Post. It ends.", "one", "two", "a") for i in range(5)])
    record = fit_reward_model(
        kind,
        base,
        table,
        PAIR_TEMPLATE if kind == "a_b" else TEMPLATE,
        TrainingOptions(dtype="float32", batch_size=4, micro_batch_size=1),
        seed=0,
        workspace=workspace,
        label=kind,
    ).record
    assert (record.n_steps, record.n_examples) == (3, 10 if kind == "yes_no" else 5)
    assert record.method == ("preference" if kind == "classification" else "supervised")
