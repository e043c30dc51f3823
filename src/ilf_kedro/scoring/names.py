"""Which scores each scorer gives: a scorer is what runs, a score is a column of what it found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ilf_kedro.scoring import ensemble
from ilf_kedro.scoring.registry import scorers as registered

__all__ = ["scores_of"]


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
