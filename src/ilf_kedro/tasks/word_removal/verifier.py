"""Says how well a refinement follows the feedback: the named words gone, the rest unchanged, the grammar mended.

It is a verifier as the parameters name them (scoring/verifier.py) and sees the feedback, the initial output and
the refinement. Which words anybody else objects to it cannot know.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from ilf_kedro.tasks.word_removal.sentences import find_words, remove_words
from ilf_kedro.verifiers import Row

__all__ = ["follows_feedback"]


def follows_feedback(row: Row) -> float:
    """Return 1 for the refinement that the feedback asks for, and less the further another is from it.

    Another scores the share of its words and of those asked for that are alike, halved where every named word is
    still there; always below 1.
    """
    named = set(find_words(row.text("feedback")))
    wanted = remove_words(row.text("initial_output"), named)
    if row.output == wanted:
        return 1.0
    gone = 1 - len(named & set(find_words(row.output))) / max(1, len(named))
    alike = SequenceMatcher(a=wanted.split(), b=row.output.split(), autojunk=False).ratio()
    return 0.99 * alike * (1 + gone) / 2
