"""What a tournament calls the scores: short enough for an axis on a telephone."""

from __future__ import annotations

from ilf_kedro.evaluation.tournament import RANDOM
from ilf_kedro.report.labels import words_of

__all__ = ["NOTATION", "label"]

NOTATION = (
    "ln p: mean token log-probabilities of r, the refinement, and f, the feedback, given x, the input, and y, the "
    "initial output; E is their expectation over the data; what the authors minimise is negated."
)
_PREFIX = "log_probability_"
_LABELS = {
    RANDOM: "random choice",
    "longest": "longest",
    "embedding_similarity_max": "embedding, most similar",
    "embedding_similarity_min": "embedding, least similar",
    f"{_PREFIX}refinement_given_feedback": "ln p: r|xyf",
    f"{_PREFIX}refinement_given_input": "ln p: r|x",
    f"{_PREFIX}feedback_given_refinement": "ln p: −f|xr",
    f"{_PREFIX}feedback_near_expected": "ln p: −abs(f|xr − E)",
    f"{_PREFIX}feedback_minus_refinement_given_feedback": "ln p: −(f|xr − r|xyf)",
    f"{_PREFIX}feedback_minus_refinement_given_input": "ln p: −(f|xr − r|x)",
    f"{_PREFIX}feedback_minus_refinement_given_feedback_near_expected": "ln p: −abs(f|xr − r|xyf − E)",
    f"{_PREFIX}feedback_minus_refinement_given_input_near_expected": "ln p: −abs(f|xr − r|x − E)",
    f"{_PREFIX}joint_refinement_last": "ln p: joint x, y, f, r",
    f"{_PREFIX}joint_feedback_last": "ln p: −joint x, r, f",
    f"{_PREFIX}joint_feedback_last_maximised": "ln p: joint x, r, f",
    f"{_PREFIX}words_refinement_last": "ln p: f, r of x, y, f, r",
    f"{_PREFIX}words_feedback_last": "ln p: −(r, f of x, r, f)",
    f"{_PREFIX}words_feedback_last_maximised": "ln p: r, f of x, r, f",
}


def label(scorer: str) -> str:
    """Return a scorer's name as figures and tables show it."""
    return _LABELS.get(scorer, words_of(scorer))
