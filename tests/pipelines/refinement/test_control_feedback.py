"""Feedback in place of people's: nobody gets their own, and a model's is marked as such."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.refinement.control_feedback import shuffle_feedback, write_feedback
from ilf_kedro.pipelines.refinement.nodes import refine_by_control_feedback
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.requirements import MissingColumnError
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
    assert "equal feedback" in caplog.text


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
