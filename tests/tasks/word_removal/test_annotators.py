from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.tasks.word_removal.annotators import comment, draw_objections, write_examples
from ilf_kedro.tasks.word_removal.notes import draw_notes
from ilf_kedro.tasks.word_removal.sentences import WORDS, Sentence, find_words, remove_words

some_words = st.lists(st.sampled_from(WORDS), max_size=10, unique=True)


@given(some_words, some_words, st.integers(0, 50))
def test_a_comment_names_what_is_objected_to_and_stands_there(said: list[str], minded: list[str], seed: int) -> None:
    text = Sentence("Ben", tuple(said), "cook", "brings us cake").text
    feedback = comment(np.random.default_rng(seed), text, minded)
    assert find_words(feedback) == [word for word in said if word in minded]
    assert feedback[-1] == "."


def test_written_refinements_do_what_their_feedback_says() -> None:
    for example in write_examples(np.random.default_rng(1), 300):
        assert example.refinement == remove_words(example.sentence, find_words(example.feedback))


def test_what_writers_object_to_is_drawn_afresh() -> None:
    """Whether a word is removed depends on no word: only the feedback tells it."""
    examples = write_examples(np.random.default_rng(2), 4000)
    said = Counter(word for example in examples for word in find_words(example.sentence))
    gone = Counter(word for example in examples for word in find_words(example.feedback))
    shares = np.array([gone[word] / said[word] for word in WORDS])
    expected = sum(gone.values()) / sum(said.values())
    errors = np.sqrt([expected * (1 - expected) / said[word] for word in WORDS])
    assert np.abs((shares - expected) / errors).max() < 4
    assert 0.05 < np.mean([not find_words(example.feedback) for example in examples]) < 0.15


def test_a_note_is_right_neither_as_it_is_nor_without_all_its_words() -> None:
    minded = draw_objections(np.random.default_rng(3), 8)
    assert len(minded) == 8
    notes = draw_notes(np.random.default_rng(4), 500, minded)
    assert len({note.text for note in notes}) == 500
    n_minded = [len(minded.intersection(note.words)) for note in notes]
    assert set(n_minded) == {1, 2, 3}
    assert all(n < len(note.words) <= 10 for n, note in zip(n_minded, notes, strict=True))
    assert max(len(note.words) for note in notes) == 10


def test_notes_avoid_given_texts_and_lengths() -> None:
    minded = draw_objections(np.random.default_rng(3), 8)
    first = draw_notes(np.random.default_rng(4), 50, minded, most_words=4)
    assert max(len(note.words) for note in first) == 4
    second = draw_notes(np.random.default_rng(4), 50, minded, others=[note.text for note in first], most_words=4)
    assert not {note.text for note in first} & {note.text for note in second}
