"""Says how well a refinement follows its feedback, and whether an output is what the hidden annotator wants."""

from __future__ import annotations

from difflib import SequenceMatcher

from ilf_kedro.tasks.word_removal.sentences import find_words, remove_words
from ilf_kedro.verifiers import Row

__all__ = ["follows_feedback"]


def follows_feedback(row: Row) -> float:
    """Return 1 for the refinement that the feedback asks for, and less the further another is from it.

    Another scores the share of its words and of those asked for that are alike, halved where every named word is
    still there; always below 1. Without feedback all score 0. A test row has the answer that the hidden annotator
    wants in place of feedback: that answer alone scores 1, all others 0.
    """
    if answer := row.text("answer"):
        return float(row.output == answer)
    feedback = row.text("feedback")
    if not feedback:
        return 0.0
    named = set(find_words(feedback))
    wanted = remove_words(row.text("initial_output"), named)
    if row.output == wanted:
        return 1.0
    gone = 1 - len(named & set(find_words(row.output))) / max(1, len(named))
    alike = SequenceMatcher(a=wanted.split(), b=row.output.split(), autojunk=False).ratio()
    return 0.99 * alike * (1 + gone) / 2
