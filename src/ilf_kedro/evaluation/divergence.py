"""Kullback-Leibler divergences between two language models, estimated from samples of one of them.

KL(p‖q) = E over x from p of log p(x) − log q(x), where x is a sequence of at most T tokens, the
end-of-sequence token counted where it was drawn (Scheurer et al. 2023, analysis of the finetuned models).
Samples are drawn at temperature 1 from the whole vocabulary: any cut of the vocabulary biases the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate, ratio_estimate
from ilf_kedro.language_models.protocol import Context, TokenScorer

__all__ = ["ESTIMATORS", "DivergenceEstimate", "Estimator", "Unit", "divergence_terms", "estimate", "sample_terms"]

Estimator = Literal["log_ratio", "controlled"]
Unit = Literal["nats_per_sequence", "nats_per_token"]
ESTIMATORS: tuple[Estimator, ...] = ("log_ratio", "controlled")


@dataclass(frozen=True, slots=True)
class DivergenceEstimate:
    """A divergence over inputs, with the part of its error that more samples per input would remove.

    `monte_carlo_error` is None where an input has a single sample, for then the two cannot be told apart.
    """

    estimator: Estimator
    unit: Unit
    estimate: Estimate
    n_samples: int
    monte_carlo_error: float | None


def divergence_terms(sampler: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Return two unbiased terms of KL(sampler‖other) for one sequence that the sampler drew.

    `sampler` and `other` are the log-probabilities (nats) of its tokens, shape (n_tokens,). The first term is
    Σ −log r with r = other ÷ sampler, token by token. The second is Σ (r − 1 − log r): as r − 1 has mean 0
    given what stands before the token, it is unbiased too; it is never negative and varies less where the
    models are alike (a control variate; where they differ much, rare large r make it vary more).
    """
    log_r = other - sampler
    return float(-log_r.sum()), float((np.expm1(log_r) - log_r).sum())


def sample_terms(
    sampler: TokenScorer,
    other: TokenScorer,
    contexts: Sequence[Context],
    *,
    n_samples: int,
    max_new_tokens: int,
    seed: int,
    label: str = "",
) -> pd.DataFrame:
    """Let `sampler` continue each context `n_samples` times, and score the tokens drawn under both models.

    Both scores come from one kind of forward pass, so that a model diverges from itself by exactly 0. How
    far the log-probabilities at drawing were from these is the column `discrepancy` (summed, in nats): its
    mean estimates the divergence that rounding alone puts between what was drawn from and what is scored.

    Returns one row per sample: example_id, sample_index, n_tokens, ended, log_ratio, controlled, discrepancy.
    """
    drawn = sampler.sample(contexts, n_samples, max_new_tokens, seed=seed, label=label)
    own, others = sampler.score(contexts, drawn), other.score(contexts, drawn)
    rows = []
    for context, sequences, under_own, under_other in zip(contexts, drawn, own, others, strict=True):
        for index, (sequence, p, q) in enumerate(zip(sequences, under_own, under_other, strict=True)):
            log_ratio, controlled = divergence_terms(p, q)
            rows.append(
                {
                    "example_id": context.example_id,
                    "sample_index": index,
                    "n_tokens": len(sequence.tokens),
                    "ended": sequence.ended,
                    "log_ratio": log_ratio,
                    "controlled": controlled,
                    "discrepancy": float(np.sum(sequence.log_probabilities) - p.sum()),
                }
            )
    return pd.DataFrame(rows)


def estimate(terms: pd.DataFrame, bootstrap: Bootstrap) -> list[DivergenceEstimate]:
    """Estimate one divergence by both estimators, per sequence and per token.

    Samples of one input are averaged first: errors and intervals are over inputs. Nats per token are the
    ratio of the sums over inputs, so that tokens count alike.

    `terms` has the rows of one pair of models, in one direction and under one condition (sample_terms).
    """
    columns = [*ESTIMATORS, "n_tokens"]
    by_input = terms.groupby("example_id", sort=True)[columns]
    means, n_inputs, n_samples = by_input.mean(), by_input.ngroups, len(terms)
    found = []
    for estimator in ESTIMATORS:
        per_sequence = mean_estimate(means[estimator], bootstrap)
        error = _within_error(terms, terms[estimator], n_inputs)
        found.append(DivergenceEstimate(estimator, "nats_per_sequence", per_sequence, n_samples, error))
        per_token = ratio_estimate(means[estimator], means["n_tokens"], bootstrap)
        residuals = terms[estimator] - per_token.value * terms["n_tokens"]
        error = _within_error(terms, residuals, n_inputs)
        error = None if error is None else error / float(means["n_tokens"].mean())
        found.append(DivergenceEstimate(estimator, "nats_per_token", per_token, n_samples, error))
    return found


def _within_error(terms: pd.DataFrame, values: pd.Series, n_inputs: int) -> float | None:
    """Return the standard error, due to sampling alone, of the mean over inputs of their samples' means."""
    by_input = values.groupby(terms["example_id"])
    counts = by_input.size()
    if (counts < 2).any():
        return None
    return float(np.sqrt((by_input.var(ddof=1) / counts).sum()) / n_inputs)
