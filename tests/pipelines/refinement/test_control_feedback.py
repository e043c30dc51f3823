"""Feedback in place of people's: nobody gets their own, and a model's is marked as such."""

from __future__ import annotations

import logging
from itertools import permutations, product
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.refinement.control_feedback import shuffle_feedback, write_feedback
from ilf_kedro.pipelines.refinement.nodes import refine_all, refine_by_control_feedback
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.requirements import MissingColumnError
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import UserError
from tests.support.example_tables import WITH_FEEDBACK, WITHOUT_FEEDBACK, examples, subsets

OPTIONS = RefinementOptions(n_refinements=2)


@settings(max_examples=12)
@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_everybody_gets_somebody_elses_and_everybodys_is_given_once(n: int, seed: int) -> None:
    table = examples(n)
    shuffled = shuffle_feedback(table, seed)
    assert list(shuffled["example_id"]) == list(table["example_id"])
    assert (shuffled["from_example_id"] != shuffled["example_id"]).all()
    assert sorted(shuffled["from_example_id"]) == sorted(table["example_id"])
    texts = table.set_index("example_id")["feedback"]
    assert list(shuffled["feedback"]) == list(texts[shuffled["from_example_id"]])
    assert shuffle_feedback(table, seed).equals(shuffled)


def test_seeds_shuffle_differently() -> None:
    table = examples(8)
    assert len({tuple(shuffle_feedback(table, seed)["from_example_id"]) for seed in range(10)}) > 5


def test_equal_texts_are_kept_apart_where_they_can_be(caplog: pytest.LogCaptureFixture) -> None:
    table = examples(4, feedback=["same", "same", "other", "another"])
    for seed in range(10):
        shuffled = shuffle_feedback(table, seed)
        assert not (shuffled["feedback"] == table["feedback"]).any()
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        shuffle_feedback(examples(2, feedback=["same", "same"]), 0)
    assert "2 of 2 examples get feedback that equals their own" in caplog.text


def test_only_the_training_subset_is_shuffled() -> None:
    table = examples(5)
    shuffled = shuffle_feedback(table, 0, subsets(table, 2, 3))
    assert set(shuffled["from_example_id"]) == {"train-0", "train-1", "train-2"}


def test_one_example_cannot_be_shuffled_and_missing_feedback_is_named() -> None:
    with pytest.raises(UserError, match="found 1; raise train_sizes"):
        shuffle_feedback(examples(1), 0)
    with pytest.raises(MissingColumnError, match="feedback: missing in 1 of 2"):
        shuffle_feedback(examples(2, feedback=["x", None]), 0)


def test_a_model_writes_feedback_and_is_asked_again_where_it_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    said = {("train-0", 0): "- Too long.", ("train-1", 0): "...", ("train-1", 2): "Say why.", ("train-2", 0): ""}
    model = ScriptedLanguageModel("critic", complete=lambda prompt, i: said.get((prompt.example_id, i), "…"))
    with caplog.at_level(logging.WARNING):
        table = write_feedback(examples(3), model, WITHOUT_FEEDBACK, OPTIONS, 0)
    assert dict(zip(table["example_id"], table["feedback"], strict=True)) == {
        "train-0": "Too long.",
        "train-1": "Say why.",
    }
    assert set(table["source"]) == {"model:critic"}
    assert table["from_example_id"].isna().all()
    assert "critic wrote no feedback for 1 of 3 examples" in caplog.text
    assert model.n_questions == 5


def test_a_model_that_never_says_anything_is_named() -> None:
    model = ScriptedLanguageModel("mute", complete=lambda prompt, i: "--")
    with pytest.raises(UserError, match="the model mute wrote no feedback for any of 2 examples"):
        write_feedback(examples(2), model, WITHOUT_FEEDBACK, OPTIONS, 0)


def test_the_refiner_sees_the_other_feedback_in_place_of_the_examples_own() -> None:
    table = examples(3)
    shuffled = shuffle_feedback(table, 0)
    seen: dict[str, str] = {}

    def complete(prompt, i: int) -> str:
        seen[prompt.example_id] = prompt.text.split("|")[3]
        return f"Text {i}."

    model = ScriptedLanguageModel(complete=complete)
    refined = refine_by_control_feedback(
        table, shuffled.iloc[:2], model, WITH_FEEDBACK, OPTIONS, 0, method="refinement_with_shuffled_feedback"
    )
    assert seen == dict(zip(shuffled["example_id"][:2], shuffled["feedback"][:2], strict=True))
    assert set(refined["method"]) == {"refinement_with_shuffled_feedback"}


def test_no_seed_leaks_feedback_that_another_order_would_not() -> None:
    for n in (2, 3, 4, 5):
        orders = [order for order in permutations(range(n)) if all(giver != i for i, giver in enumerate(order))]
        for texts in product("abc" if n < 5 else "ab", repeat=n):
            least = min(sum(texts[giver] == texts[i] for i, giver in enumerate(order)) for order in orders)
            table = examples(n, feedback=list(texts))
            shuffled = shuffle_feedback(table, 3)
            assert (shuffled["feedback"] == table["feedback"]).sum() == least
            assert (shuffled["from_example_id"] != table["example_id"]).all()


def test_rare_orders_without_equal_texts_are_found() -> None:
    table = examples(60, feedback=["same"] * 30 + [f"other {i}" for i in range(30)])
    assert not (shuffle_feedback(table, 0)["feedback"] == table["feedback"]).any()


def test_nobody_gets_feedback_about_their_own_input_where_another_is_there() -> None:
    inputs = ["a", "a", "a", "b", "b", "b"]
    of_input = dict(zip(examples(6)["example_id"], inputs, strict=True))
    for seed in range(10):
        shuffled = shuffle_feedback(examples(6, input_id=inputs), seed)
        assert (shuffled["from_example_id"].map(of_input) != shuffled["example_id"].map(of_input)).all()


def test_controls_do_not_see_the_persons_words() -> None:
    seen: list[str] = []

    def complete(prompt, i: int) -> str:
        seen.append(prompt.text)
        return f"Text {i}."

    table = examples(2, feedback=["MARKER 1", "MARKER 2"], reference=["MARKER 3", "MARKER 4"])
    model = ScriptedLanguageModel(complete=complete)
    for name in ("refinement_without_feedback", "feedback"):
        shipped = Path(__file__).parents[3] / f"conf/base/prompts/{name}.yml"
        template = PromptTemplate(**yaml.safe_load(shipped.read_text(encoding="utf-8")))
        if name == "feedback":
            write_feedback(table, model, template, OPTIONS, 0)
        else:
            refine_all(table, model, template, OPTIONS, 0, method=name)
    assert len(seen) >= 4
    assert not [text for text in seen if "MARKER" in text]
