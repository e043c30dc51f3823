"""How well scores agree with a ranking of the same candidates, for one ranking and many scorers at once.

Shapes: S scorers, K candidates. `scores` is (S, K), higher is better, nan is undefined and ranks last; `ranks` is
(K,), 1 is the best, equal ranks are ties. Each function returns (S,). A scorer that says nothing (all scores equal
or undefined) gets what a coin would: a win rate and an accuracy of ½, a correlation of 0.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = [
    "choice_weights",
    "expected_wins",
    "kendall_taus",
    "length_correlations",
    "outcome_matrix",
    "pairwise_accuracies",
    "wins_over",
    "with_undefined_last",
]

Floats = NDArray[np.float64]


def with_undefined_last(scores: Floats) -> Floats:
    """Replace undefined scores by minus infinity: below every other, and equal to each other."""
    return np.where(np.isnan(scores), -np.inf, scores)


def choice_weights(scores: Floats) -> Floats:
    """Return how probably each candidate is chosen, shape (S, K): the best, or evenly among equally good ones.

    `selection` breaks ties by the order of sampling. The order in a file of rankings may follow the ranks, so
    breaking ties by it would flatter a scorer; here a tie is broken at random, and the expectation is exact.
    """
    filled = with_undefined_last(scores)
    best = filled == filled.max(axis=1, keepdims=True)
    return np.asarray(best / best.sum(axis=1, keepdims=True))


def outcome_matrix(ranks: Floats) -> Floats:
    """Return for each candidate against each, shape (K, K): 1 where the first is better, ½ at a tie, else 0."""
    return np.asarray((np.sign(ranks[None, :] - ranks[:, None]) + 1) / 2)


def expected_wins(scores: Floats, ranks: Floats) -> Floats:
    """Return the win rate of each scorer's choice over a candidate drawn at random from all K, in expectation.

    The draw may hit the choice itself, which is a tie (as in the paper's comparison with a random refinement), so
    the best choice among K candidates without ties wins 1 - 1/(2K), not 1.
    """
    return np.asarray(choice_weights(scores) @ outcome_matrix(ranks).mean(axis=1))


def wins_over(scores: Floats, ranks: Floats, baseline_rank: float) -> Floats:
    """Return the win rate of each scorer's choice over one text of the given rank."""
    return np.asarray(choice_weights(scores) @ ((np.sign(baseline_rank - ranks) + 1) / 2))


def pairwise_accuracies(scores: Floats, ranks: Floats) -> Floats:
    """Return the share of pairs that the scores order as the ranking does, equal scores counting ½.

    Pairs that are equal in the ranking are left out; nan where there are no others.
    """
    in_scores, in_ranking = _pair_signs(scores, ranks)
    told = in_ranking != 0
    if not told.any():
        return np.full(len(scores), np.nan)
    return np.asarray(((in_scores * in_ranking + 1) / 2)[:, told].mean(axis=1))


def kendall_taus(scores: Floats, ranks: Floats) -> Floats:
    """Return Kendall's τ-b (1945) of the scores with the ranking; nan where all candidates have one rank."""
    in_scores, in_ranking = _pair_signs(scores, ranks)
    if not in_ranking.any():
        return np.full(len(scores), np.nan)
    told = np.abs(in_scores).sum(axis=1) * np.abs(in_ranking).sum()
    return np.asarray(in_scores @ in_ranking / np.sqrt(np.maximum(told, 1.0)))


def length_correlations(scores: Floats, lengths: Floats) -> Floats:
    """Return Spearman's correlation of defined scores and lengths, shape (K,); nan where either is constant."""
    found = np.full(len(scores), np.nan)
    for row, of_scorer in enumerate(scores):
        defined = ~np.isnan(of_scorer)
        if defined.sum() > 1 and np.ptp(of_scorer[defined]) > 0 and np.ptp(lengths[defined]) > 0:
            places = scipy.stats.rankdata([of_scorer[defined], lengths[defined]], axis=1)
            found[row] = np.corrcoef(places)[0, 1]
    return found


def _pair_signs(scores: Floats, ranks: Floats) -> tuple[Floats, Floats]:
    """Return for each pair of candidates +1 where the first is better, −1 where the second is, 0 at a tie.

    By the scores, shape (S, K (K - 1) / 2), and by the ranking, shape (K (K - 1) / 2,).
    """
    first, second = np.triu_indices(ranks.size, 1)
    filled = with_undefined_last(scores)
    one, other = filled[:, first], filled[:, second]
    return (one > other).astype(np.float64) - (one < other), np.sign(ranks[second] - ranks[first])
