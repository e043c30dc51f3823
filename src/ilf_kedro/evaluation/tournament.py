"""Scorers measured against rankings: every figure with its error, also at equal length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ilf_kedro.evaluation import rank_statistics
from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate
from ilf_kedro.evaluation.length_control import Comparisons, length_controlled_share
from ilf_kedro.schemas import DataFrame, RankedCandidates, ScorerMetrics, Scores

__all__ = ["LONGEST", "RANDOM", "WIN_RATE", "Ranking", "example_values", "rankings_of", "scorer_metrics"]

Floats = NDArray[np.float64]

RANDOM = "random"
LONGEST = "longest"
WIN_RATE = "win_rate_over_random"
_OVER_INITIAL = "win_rate_over_initial"
_ACCURACY = "pairwise_accuracy"
_TAU = "kendall_tau"
_LENGTH = "length_correlation"
_CONTROLLED = "length_controlled_"
_AT_RANDOM = {WIN_RATE: 0.5, _ACCURACY: 0.5, _TAU: 0.0, _LENGTH: np.nan}


@dataclass(frozen=True, slots=True)
class Ranking:
    """One ranker's ranking of one example's candidates, with their scores.

    `ranks` and `lengths` (tokens) have shape (K,), `scores` (S, K), without the initial output, whose rank and
    length are nan where it was not ranked. The rankings of one example have a `weight` of 1 together.
    """

    example_id: str
    ranks: Floats
    lengths: Floats
    scores: Floats
    initial_rank: float
    initial_length: float
    weight: float


def rankings_of(ranked: DataFrame[RankedCandidates], scores: DataFrame[Scores]) -> tuple[list[str], list[Ranking]]:
    """Join rankings with scores: return the S scorers in the order of `scores`, and the rankings in theirs.

    A candidate without a row in `scores` has an undefined score.
    """
    scorers = [str(scorer) for scorer in scores["scorer"].unique()]
    wide = scores.pivot_table(
        index=["example_id", "sample_index"], columns="scorer", values="score", dropna=False, aggfunc="first"
    ).reindex(columns=scorers)
    weights = 1.0 / ranked.groupby("example_id")["ranked_by"].transform("nunique").to_numpy(dtype=np.float64)
    ids = ranked["example_id"].tolist()
    numbers = ranked.groupby(["example_id", "ranked_by"], sort=False).ngroup().to_numpy()
    keys = pd.MultiIndex.from_frame(ranked[["example_id", "sample_index"]])
    values = wide.reindex(keys).to_numpy(dtype=np.float64)
    ranks, lengths = (ranked[name].to_numpy(dtype=np.float64) for name in ("rank", "n_tokens"))
    is_initial = ranked["is_initial_output"].to_numpy(dtype=np.bool_)
    found = []
    for number in range(numbers.max(initial=-1) + 1):
        rows = np.flatnonzero(numbers == number)
        own, initial = rows[~is_initial[rows]], rows[is_initial[rows]]
        found.append(
            Ranking(
                example_id=ids[rows[0]],
                ranks=ranks[own],
                lengths=lengths[own],
                scores=values[own].T,
                initial_rank=ranks[initial[0]] if len(initial) else np.nan,
                initial_length=lengths[initial[0]] if len(initial) else np.nan,
                weight=weights[rows[0]],
            )
        )
    return scorers, found


def example_values(scorers: Sequence[str], rankings: Sequence[Ranking]) -> dict[str, pd.DataFrame]:
    """Return for each metric one row per example and one column per scorer, the mean over the example's rankers.

    The scorer random has what a random choice has in expectation, exactly, not what one draw happened to give.
    """
    metrics: dict[str, Callable[[Ranking], Floats]] = {
        WIN_RATE: lambda each: rank_statistics.expected_wins(each.scores, each.ranks),
        _OVER_INITIAL: lambda each: rank_statistics.wins_over(each.scores, each.ranks, each.initial_rank),
        _ACCURACY: lambda each: rank_statistics.pairwise_accuracies(each.scores, each.ranks),
        _TAU: lambda each: rank_statistics.kendall_taus(each.scores, each.ranks),
        _LENGTH: lambda each: rank_statistics.length_correlations(each.scores, each.lengths),
    }
    ids = [each.example_id for each in rankings]
    values = {}
    for metric, measure in metrics.items():
        rows = pd.DataFrame([measure(each) for each in rankings], columns=list(scorers), index=ids)
        if RANDOM in scorers:
            rows[RANDOM] = _random_row(metric, rankings)
        values[metric] = rows.groupby(level=0, sort=False).mean()
    return values


def scorer_metrics(
    ranked: DataFrame[RankedCandidates], scores: DataFrame[Scores], bootstrap: Bootstrap
) -> DataFrame[ScorerMetrics]:
    """Estimate how well every scorer agrees with the rankings.

    Metrics, each averaged over examples: the win rate of the scorer's choice over a random candidate and over the
    initial output, its accuracy on pairs that the ranking tells apart, Kendall's τ-b, and Spearman's correlation
    of score and length; the first three also length-controlled, by a logistic model with the length difference
    as covariate. Equal seeds draw equal examples for every scorer, so that intervals go together.
    `undefined_scores` counts a scorer's null scores among all candidates (n).
    """
    scorers, rankings = rankings_of(ranked, scores)
    parts = [
        *_plain(scorers, example_values(scorers, rankings), bootstrap),
        *_length_controlled(scorers, rankings, bootstrap.confidence),
        *_undefined(scores),
    ]
    rows = [{"scorer": scorer, "metric": metric, **asdict(estimate)} for scorer, metric, estimate in parts]
    return ScorerMetrics.from_rows(rows)


def _random_row(metric: str, rankings: Sequence[Ranking]) -> list[float]:
    """Return each ranking's expectation over a choice, or over scores, drawn at random."""
    if metric == _OVER_INITIAL:
        return [float(((np.sign(each.initial_rank - each.ranks) + 1) / 2).mean()) for each in rankings]
    told = [np.ptp(each.ranks) > 0 or metric == WIN_RATE for each in rankings]
    return [_AT_RANDOM[metric] if each else np.nan for each in told]


def _plain(
    scorers: Sequence[str], values: dict[str, pd.DataFrame], bootstrap: Bootstrap
) -> Iterator[tuple[str, str, Estimate]]:
    for metric, table in values.items():
        for scorer in scorers:
            defined = table[scorer].dropna()
            if scorer == RANDOM and metric in _AT_RANDOM and len(defined):
                yield scorer, metric, Estimate(_AT_RANDOM[metric], len(defined), note="exact, in expectation")
            elif len(defined):
                yield scorer, metric, mean_estimate(defined, bootstrap)


def _length_controlled(
    scorers: Sequence[str], rankings: Sequence[Ranking], confidence: float
) -> Iterator[tuple[str, str, Estimate]]:
    examples = {example_id: place for place, example_id in enumerate(dict.fromkeys(r.example_id for r in rankings))}
    own_share = float(np.average([1 / r.ranks.size for r in rankings], weights=[r.weight for r in rankings]))
    kinds = {WIN_RATE: _against_others, _OVER_INITIAL: _against_initial, _ACCURACY: _every_pair}
    for row, scorer in enumerate(scorers):
        for metric, pairs in kinds.items():
            rows = [(*part, examples[each.example_id]) for each in rankings for part in [pairs(each, row)]]
            comparisons = Comparisons(
                outcomes=np.concatenate([part[0] for part in rows]),
                differences=np.concatenate([part[1] for part in rows]),
                weights=np.concatenate([part[2] for part in rows]),
                examples=np.concatenate([np.full(part[0].size, part[3]) for part in rows]),
            )
            if metric == _OVER_INITIAL and not comparisons.weights.any():
                continue
            yield scorer, _CONTROLLED + metric, _controlled(scorer, metric, comparisons, own_share, confidence)


def _controlled(scorer: str, metric: str, comparisons: Comparisons, own_share: float, confidence: float) -> Estimate:
    if scorer == LONGEST and metric != _OVER_INITIAL:
        return Estimate(np.nan, len(np.unique(comparisons.examples)), note="it prefers by length alone")
    if scorer == RANDOM and metric in _AT_RANDOM:
        return Estimate(_AT_RANDOM[metric], len(np.unique(comparisons.examples)), note="exact, in expectation")
    estimate = length_controlled_share(comparisons, confidence=confidence)
    return _with_own_share(estimate, own_share) if metric == WIN_RATE else estimate


def _with_own_share(estimate: Estimate, own_share: float) -> Estimate:
    """Put the win rate over the other candidates on the scale of that over all, the choice itself being a tie."""
    others = 1 - own_share

    def rescaled(value: float | None) -> float | None:
        return None if value is None else own_share / 2 + others * value

    error = None if estimate.standard_error is None else others * estimate.standard_error
    value = own_share / 2 + others * estimate.value
    return Estimate(value, estimate.n, error, rescaled(estimate.lower), rescaled(estimate.upper), estimate.note)


def _against_others(ranking: Ranking, row: int) -> tuple[Floats, Floats, Floats]:
    """Compare the choice with every other candidate; of equally good choices, each with its probability."""
    chosen = rank_statistics.choice_weights(ranking.scores[[row]])[0]
    weights = np.where(np.eye(chosen.size, dtype=bool), 0.0, chosen[:, None] / chosen.size) * ranking.weight
    differences = ranking.lengths[:, None] - ranking.lengths[None, :]
    return rank_statistics.outcome_matrix(ranking.ranks).ravel(), differences.ravel(), weights.ravel()


def _against_initial(ranking: Ranking, row: int) -> tuple[Floats, Floats, Floats]:
    """Compare the choice with the initial output; rows weigh nothing where it was not ranked."""
    chosen = rank_statistics.choice_weights(ranking.scores[[row]])[0]
    if np.isnan(ranking.initial_rank):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    outcomes = (np.sign(ranking.initial_rank - ranking.ranks) + 1) / 2
    return outcomes, ranking.lengths - ranking.initial_length, chosen * ranking.weight


def _every_pair(ranking: Ranking, row: int) -> tuple[Floats, Floats, Floats]:
    """Compare the higher score with the lower, for pairs of different ranks; equal scores count half each way."""
    scores = rank_statistics.with_undefined_last(ranking.scores[row])
    prefers = np.where(scores[:, None] == scores[None, :], 0.5, (scores[:, None] > scores[None, :]).astype(float))
    told = ranking.ranks[:, None] != ranking.ranks[None, :]
    weights = prefers * told
    weights = weights / (weights.sum() or 1.0) * ranking.weight
    differences = ranking.lengths[:, None] - ranking.lengths[None, :]
    return rank_statistics.outcome_matrix(ranking.ranks).ravel(), differences.ravel(), weights.ravel()


def _undefined(scores: DataFrame[Scores]) -> Iterator[tuple[str, str, Estimate]]:
    for scorer, group in scores.groupby("scorer", sort=False):
        yield str(scorer), "undefined_scores", Estimate(float(group["score"].isna().sum()), len(group))
