"""Targeted word removal: a task whose success can be counted (docs/word_removal.md).

Sentences hold mildly rude words; feedback names those that somebody objects to; an output is right where exactly
these are gone and the grammar is mended. What is here is only what a user's folder of data would hold, and the people
behind it; the environment `word_removal` runs the main job on it.
"""

from ilf_kedro.tasks.word_removal.annotator import comment_on_output
from ilf_kedro.tasks.word_removal.rows import draw_rows
from ilf_kedro.tasks.word_removal.verifier import follows_feedback

__all__ = ["comment_on_output", "draw_rows", "follows_feedback"]
