"""Which scores each scorer gives: a scorer is what runs, a score is a column of what it found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ilf_kedro.scoring import ensemble
from ilf_kedro.scoring.registry import scorers as registered

__all__ = ["reads_feedback", "scores_of"]


def scores_of(scorers: Iterable[str], ensembles: Sequence[ensemble.EnsembleOptions] = ()) -> tuple[str, ...]:
    """Return the names of the scores that the scorers give, in their order.

    Raises:
        KeyError: there is no such scorer.
    """
    found: list[str] = []
    for scorer in scorers:
        of_ensembles = [ensemble.score_name(each.name) for each in ensembles] if scorer == ensemble.SCORER else []
        found += [*registered()[scorer].scores, *of_ensembles]
    return tuple(found)


def reads_feedback(score: str, ensembles: Sequence[ensemble.EnsembleOptions] = ()) -> bool:
    """Tell whether a score depends on the person's feedback: by its scorer, or by a member of its ensemble."""
    members = {ensemble.score_name(each.name): tuple(each.weights) for each in ensembles}
    wanted = members.get(score, (score,))
    return any(each.reads_feedback and set(each.scores) & set(wanted) for each in registered().values())
