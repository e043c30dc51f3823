"""Feedback texts made to have one flag each, and texts of any kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.evaluation.feedback_flags import flag_feedback
from tests.support.example_tables import examples


def flags_of(**columns: object) -> set[tuple[str, str, str]]:
    table = flag_feedback(examples(len(next(iter(columns.values()))), **columns))  # type: ignore[arg-type]
    return set(zip(table["example_id"], table["flag"], table["reason"], strict=True))


def test_feedback_of_fewer_than_three_different_words_is_short() -> None:
    assert flags_of(feedback=["Bad, bad!", "…", "Say who left.", None]) == {
        ("train-0", "short", "1 different word"),
        ("train-1", "short", "no different words"),
    }


def test_feedback_that_three_inputs_have_is_repeated_and_twice_on_one_output_doubled() -> None:
    said = ["Name the dog please", "name the dog, PLEASE", "Name the dog please!", "Name the dog please"]
    found = flags_of(
        feedback=said, input_id=["a", "b", "c", "c"], initial_output=["one", "two", "same text", "same  text"]
    )
    repeated = {(f"train-{i}", "repeated", "3 inputs have it word for word") for i in range(4)}
    assert found == repeated | {("train-3", "doubled", "train-2 has the same input, output and feedback")}


def test_a_reference_like_the_initial_output_contradicts_its_feedback() -> None:
    found = flags_of(
        feedback=["Say where it was.", "Say where it was now."],
        initial_output=["It was  here.", "It was here."],
        reference=["It was here.", "It was there."],
    )
    assert found == {("train-0", "changed nothing", "the reference is the initial output, word for word")}


def test_feedback_whose_rare_words_stand_in_another_example_is_about_something_else() -> None:
    posts = [f"a letter from the town number {i}" for i in range(18)]
    posts += ["the giraffe swallowed a harmonica", "the bishop lost his umbrella"]
    said = [f"say more of town {i}" for i in range(18)]
    said += ["say which umbrella the bishop lost", "say which umbrella the bishop lost now"]
    assert flags_of(post=posts, feedback=said) == {
        ("train-18", "about something else", "bishop, lost, umbrella: not in its own texts, but in train-19's")
    }


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=12))
def test_any_text_can_be_flagged_and_no_row_without_feedback_is(said: list[str | None]) -> None:
    table = flag_feedback(examples(len(said), feedback=said))
    assert {said[int(example_id.split("-")[1])] is None for example_id in table["example_id"]} <= {False}
