"""The rows of the task: notes that a hidden annotator comments on, and refinements that other people wrote."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from ilf_kedro.tasks.word_removal.annotator import VAGUE, comment, objections_of
from ilf_kedro.tasks.word_removal.sentences import WORDS, Sentence, draw_sentence, stream_of

__all__ = ["draw_rows"]

_MOST_TO_REMOVE = 3
_SHARE_VAGUE = 0.1
_SHARE_CONTENT = 0.1

Row = dict[str, object]


def draw_rows(
    *,
    split: Literal["train", "test"],
    annotator: int,
    n_objections: int,
    n_notes: int,
    n_written: int,
    n_test: int,
    most_words: int = 10,
    seed: int = 0,
) -> list[Row]:
    """Return the rows of a split; the same arguments give the same rows.

    Train has `n_notes` notes, each passed on as it is, with the hidden annotator's comment and own answer; then
    `n_written` sentences with the comments and refinements of others, from whom a refinement model learns to do what a
    comment says. Test has `n_test` other notes with the answer that the hidden annotator wants, which the verifier
    compares with; no row of train has that column.
    """
    minded = objections_of(annotator, n_objections)
    notes = list(islice(_draw_notes(stream_of("notes", seed), minded, most_words), n_test + n_notes))
    if split == "test":
        return [
            {"id": f"test-{i}", "note": note.text, "refinement": answer, "answer": answer}
            for i, note in enumerate(notes[:n_test])
            for answer in [note.without(minded).text]
        ]
    stream = stream_of("comments", seed)
    return [
        *(
            _example(f"note-{i}", note, comment(stream, note.text, minded), note.without(minded), "hidden")
            for i, note in enumerate(notes[n_test:])
        ),
        *islice(_written(stream_of("written", seed), most_words), n_written),
    ]


def _draw_notes(stream: random.Random, minded: frozenset[str], most_words: int) -> Iterator[Sentence]:
    """Draw different notes, each with one to three words that are objected to and at least one that is not.

    So neither leaving all as it is nor removing all words is ever right.
    """
    objected = [word for word in WORDS if word in minded]
    welcome = [word for word in WORDS if word not in minded]
    drawn: set[str] = set()
    while True:
        n_objected = stream.randint(1, min(_MOST_TO_REMOVE, len(objected)))
        n_welcome = stream.randint(1, min(most_words - n_objected, len(welcome)))
        words = [*stream.sample(objected, n_objected), *stream.sample(welcome, n_welcome)]
        note = draw_sentence(stream, stream.sample(words, len(words)))
        if note.text not in drawn:
            drawn.add(note.text)
            yield note


def _written(stream: random.Random, most_words: int) -> Iterator[Row]:
    """Let one annotator after another comment on a sentence of their own, and write the refinement.

    What each objects to is drawn afresh, so that nothing but the comment tells what to remove. Some are content; some
    remove words and do not say which.
    """
    number = 0
    while True:
        sentence = draw_sentence(stream, stream.sample(WORDS, stream.randint(1, most_words)))
        kind = stream.random()
        n_named = 0 if kind < _SHARE_CONTENT else stream.randint(1, min(_MOST_TO_REMOVE, len(sentence.words)))
        named = stream.sample(sentence.words, n_named)
        vague = kind > 1 - _SHARE_VAGUE
        feedback = VAGUE if vague else comment(stream, sentence.text, named)
        yield _example(f"written-{number}", sentence, feedback, sentence.without(named), "another")
        number += 1


def _example(name: str, sentence: Sentence, feedback: str, wanted: Sentence, by: str) -> Row:
    text = sentence.text
    return {
        "id": name,
        "note": text,
        "passed_on": text,
        "comment": feedback,
        "refinement": wanted.text,
        "annotator": by,
    }
