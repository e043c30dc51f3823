"""Which scores each scorer gives: a scorer is what runs, a score is a column of what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ilf_kedro.scoring import (
    classifier,
    copying,
    embedding_similarity,
    ensemble,
    instruct_rm,
    log_probability,
    longest,
    random_scorer,
    reward_model,
    verifier,
)

__all__ = ["SCORES", "scores_of"]

# Every scorer and its scores, as they stand in the column `scorer` of the table scores. An ensemble's scores
# have the names that the parameters give them.
SCORES: Mapping[str, tuple[str, ...]] = {
    random_scorer.SCORER: (random_scorer.SCORER,),
    longest.SCORER: (longest.SCORER,),
    copying.SCORER: (copying.SCORER,),
    "instruct_rm": (*map(instruct_rm.template_scorer, range(1, 6)), instruct_rm.ENSEMBLE),
    "log_probability": log_probability.LOG_PROBABILITY_SCORERS,
    "embedding_similarity": embedding_similarity.EMBEDDING_SIMILARITY_SCORERS,
    classifier.SCORER: (classifier.SCORER,),
    reward_model.SCORER: (reward_model.SCORER,),
    verifier.SCORER: (verifier.SCORER,),
    ensemble.SCORER: (),
}


def scores_of(scorers: Iterable[str], ensembles: Sequence[ensemble.EnsembleOptions] = ()) -> tuple[str, ...]:
    """Return the names of the scores that the scorers give, in their order.

    Raises:
        KeyError: there is no such scorer.
    """
    found: list[str] = []
    for scorer in scorers:
        of_ensembles = [ensemble.score_name(each.name) for each in ensembles] if scorer == ensemble.SCORER else []
        found += [*SCORES[scorer], *of_ensembles]
    return tuple(found)
