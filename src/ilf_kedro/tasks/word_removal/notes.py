"""The task of the loop: notes to pass on, some of whose words a hidden annotator objects to."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ilf_kedro.tasks.word_removal.sentences import WORDS, Sentence, draw_sentence

__all__ = ["draw_notes"]

_MOST_OBJECTIONS = 3


def draw_notes(
    random: np.random.Generator,
    n: int,
    objections: Collection[str],
    *,
    others: Collection[str] = (),
    most_words: int = 10,
) -> list[Sentence]:
    """Draw n different notes, none of them among the texts `others`.

    Each holds one to three words that are objected to and at least one that is not, so that neither leaving all
    as it is nor removing all words is ever right; `most_words` at most.
    """
    minded = [word for word in WORDS if word in objections]
    welcome = [word for word in WORDS if word not in objections]
    known = set(others)
    notes: list[Sentence] = []
    while len(notes) < n:
        n_minded = int(random.integers(1, min(_MOST_OBJECTIONS, len(minded)) + 1))
        n_welcome = int(random.integers(1, min(most_words - n_minded, len(welcome)) + 1))
        chosen = [
            *random.choice(minded, n_minded, replace=False),
            *random.choice(welcome, n_welcome, replace=False),
        ]
        note = draw_sentence(random, [str(word) for word in random.permutation(chosen)])
        if note.text not in known:
            known.add(note.text)
            notes.append(note)
    return notes
