"""What is outside the loop: notes, the hidden annotator who comments on outputs, and people who wrote refinements.

The table of objections is read by the annotator's and the judge's nodes alone. Everything random in a node comes
from the seed and the node's own name, so that no node can draw what another one drew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ilf_kedro.pipelines.word_removal.options import AnnotatorOptions, NotesOptions, RefinerOptions
from ilf_kedro.schemas import Answers, DataFrame, Examples, NoteAnswers, Notes, Objections, WrittenExamples
from ilf_kedro.tasks.word_removal.annotators import comment, draw_any_sentence, draw_objections, write_examples
from ilf_kedro.tasks.word_removal.notes import draw_notes
from ilf_kedro.tasks.word_removal.sentences import WORDS

__all__ = ["comment_on_outputs", "draw_annotator", "draw_task", "shuffle_feedback", "write_refinements"]

logger = logging.getLogger(__name__)

_ANNOTATOR, _WRITERS, _DEMONSTRATIONS, _NOTES, _COMMENTS, _SHUFFLE = range(6)  # one random stream for each


def draw_annotator(options: AnnotatorOptions) -> DataFrame[Objections]:
    """Draw what the hidden annotator objects to."""
    objections = draw_objections(np.random.default_rng([_ANNOTATOR, options.seed]), options.n_objections)
    return Objections.validate(pd.DataFrame({"word": WORDS, "objected": [word in objections for word in WORDS]}))


def write_refinements(options: RefinerOptions, seed: int) -> DataFrame[WrittenExamples]:
    """Let other annotators, each with objections of their own, write the refinement model's examples."""
    random = np.random.default_rng([_WRITERS, seed])
    table = pd.DataFrame(write_examples(random, options.n_written, most_words=options.most_words))
    without = random.permutation(options.n_written) < round(options.share_without_feedback * options.n_written)
    table["feedback"] = table["feedback"].mask(without)
    table.insert(0, "example_id", [f"written-{i}" for i in range(len(table))])
    return WrittenExamples.validate(table)


def draw_task(
    objections: DataFrame[Objections], options: NotesOptions, seed: int
) -> tuple[DataFrame[Notes], DataFrame[NoteAnswers]]:
    """Draw all notes, no two alike, and how the hidden annotator wants each of them passed on."""
    minded = _minded(objections)
    demonstrations = _draw_demonstrations(options, seed)
    sizes = {"test": options.n_test, "first_round": options.n_train, "second_round": options.n_train}
    random = np.random.default_rng([_NOTES, seed])
    drawn = draw_notes(random, sum(sizes.values()), minded, others=demonstrations, most_words=options.most_words)
    parts = [part for part, n in sizes.items() for _ in range(n)]
    ids = [f"{part}-{i}" for part, n in sizes.items() for i in range(n)]
    notes = pd.DataFrame(
        {
            "example_id": [*(f"demonstration-{i}" for i in range(len(demonstrations))), *ids],
            "part": [*["demonstration"] * len(demonstrations), *parts],
            "text": [*demonstrations, *(note.text for note in drawn)],
        }
    )
    answers = pd.DataFrame(
        {
            "example_id": ids,
            "n_words": [len(note.words) for note in drawn],
            "n_to_remove": [len(minded.intersection(note.words)) for note in drawn],
            "answer": [note.without(minded).text for note in drawn],
        }
    )
    return Notes.validate(notes), NoteAnswers.validate(answers)


def comment_on_outputs(
    outputs: DataFrame[Answers], notes: DataFrame[Notes], objections: DataFrame[Objections], seed: int
) -> DataFrame[Examples]:
    """Let the hidden annotator comment on what a model made of each note.

    The result has the shape of any task's examples: the note is the input, the output the initial output. An
    empty output counts as the note itself.
    """
    minded = _minded(objections)
    table = outputs[["example_id", "text"]].merge(
        notes[["example_id", "text"]], on="example_id", suffixes=("_out", "_in")
    )
    empty = table["text_out"] == ""
    if empty.any():
        logger.info("%d of %d outputs are empty; the note stands for them", empty.sum(), len(table))
    texts = table["text_out"].where(~empty, table["text_in"])
    random = np.random.default_rng([_COMMENTS, seed])
    feedback = [comment(random, text, minded) for text in texts]
    return _examples(table["example_id"], table["text_in"], texts, feedback)


def shuffle_feedback(examples: DataFrame[Examples], seed: int) -> DataFrame[Examples]:
    """Give every example the feedback on another one: in a random order, each gets its successor's."""
    order = np.random.default_rng([_SHUFFLE, seed]).permutation(len(examples))
    feedback = examples["feedback"].to_numpy(dtype=object).copy()
    feedback[order] = feedback[np.roll(order, -1)]
    return Examples.validate(examples.assign(feedback=feedback))


def _draw_demonstrations(options: NotesOptions, seed: int) -> list[str]:
    random = np.random.default_rng([_DEMONSTRATIONS, seed])
    texts: dict[str, None] = {}
    while len(texts) < options.n_demonstrations:
        texts[draw_any_sentence(random, most_words=options.most_words).text] = None
    return list(texts)


def _minded(objections: DataFrame[Objections]) -> frozenset[str]:
    return frozenset(objections.loc[objections["objected"], "word"])


def _examples(ids: pd.Series, inputs: pd.Series, outputs: pd.Series, feedback: Sequence[str]) -> DataFrame[Examples]:
    table = pd.DataFrame(
        {"example_id": ids, "input_id": ids, "note": inputs, "initial_output": outputs, "feedback": feedback}
    ).assign(split="train", position=range(len(ids)), other="{}")
    return Examples.validate(table.reindex(columns=["note", *Examples.column_names()]))
