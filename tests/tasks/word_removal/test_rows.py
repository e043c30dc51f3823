from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.tasks.word_removal import comment_on_output, draw_rows
from ilf_kedro.tasks.word_removal.annotator import VAGUE, comment, objections_of
from ilf_kedro.tasks.word_removal.sentences import WORDS, Sentence, find_words, remove_words, stream_of
from ilf_kedro.verifiers import Row

some_words = st.lists(st.sampled_from(WORDS), max_size=10, unique=True)
SIZES: dict[str, Any] = {"annotator": 3, "n_objections": 8, "n_notes": 300, "n_test": 200, "n_written": 3000}


def rows_of(split: Any, **changes: Any) -> list[dict[str, Any]]:
    return draw_rows(split=split, **{**SIZES, **changes})


def train_rows(by: str, **changes: Any) -> list[dict[str, Any]]:
    return [row for row in rows_of("train", **changes) if row["annotator"] == by]


@given(some_words, some_words, st.integers(0, 50))
def test_a_comment_names_what_is_objected_to_and_stands_there(said: list[str], minded: list[str], seed: int) -> None:
    text = Sentence("Ben", tuple(said), "cook", "brings us cake").text
    feedback = comment(stream_of(seed), text, minded)
    assert find_words(feedback) == [word for word in said if word in minded]
    assert feedback[-1] == "."


def test_the_hidden_annotator_says_the_same_of_data_and_of_later_outputs() -> None:
    minded = objections_of(3, 8)
    assert len(minded) == 8
    for row in train_rows("hidden"):
        later = comment_on_output(Row(row["passed_on"]), annotator=3, n_objections=8)
        wanted = {word for word in find_words(row["note"]) if word in minded}
        assert set(find_words(row["comment"])) == set(find_words(later)) == wanted
        assert row["refinement"] == remove_words(row["note"], wanted)


def test_what_others_wrote_does_what_their_comment_says_or_the_comment_names_nothing() -> None:
    vague = 0
    for row in train_rows("another"):
        if row["comment"] == VAGUE:
            vague += 1
            assert row["refinement"] != row["passed_on"]
        else:
            assert row["refinement"] == remove_words(row["passed_on"], find_words(row["comment"]))
    assert 0.07 < vague / 3000 < 0.13


def test_what_others_object_to_is_drawn_afresh() -> None:
    """Whether a word is removed depends on no word, so nothing of the hidden annotator's can be learned from them."""
    written = train_rows("another")
    said = Counter(word for row in written for word in find_words(row["note"]))
    gone = said - Counter(word for row in written for word in find_words(row["refinement"]))
    shares = np.array([gone[word] / said[word] for word in WORDS])
    expected = sum(gone.values()) / sum(said.values())
    errors = np.sqrt([expected * (1 - expected) / said[word] for word in WORDS])
    assert np.abs((shares - expected) / errors).max() < 4
    assert [row["refinement"] for row in written] == [row["refinement"] for row in train_rows("another", annotator=4)]


def test_a_note_is_right_neither_as_it_is_nor_without_all_its_words() -> None:
    minded, notes = objections_of(3, 8), [row["note"] for row in (*train_rows("hidden"), *rows_of("test"))]
    assert len(set(notes)) == 500
    n_minded = [len(minded.intersection(find_words(note))) for note in notes]
    assert set(n_minded) == {1, 2, 3}
    assert all(n < len(find_words(note)) <= 10 for n, note in zip(n_minded, notes, strict=True))
    few = [row["note"] for row in rows_of("train", most_words=4)]
    assert max(len(find_words(note)) for note in few) == 4


def test_the_same_arguments_give_the_same_rows_and_only_test_has_answers() -> None:
    assert rows_of("train") == rows_of("train")
    assert rows_of("test", n_notes=500)[:5] == rows_of("test")[:5] != rows_of("test", seed=1)[:5]
    assert not any("answer" in row for row in rows_of("train"))
    assert all(row["answer"] == row["refinement"] and "comment" not in row for row in rows_of("test"))
