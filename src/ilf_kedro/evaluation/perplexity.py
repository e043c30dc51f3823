"""Perplexity: e to the power of the negative log-likelihood per token."""

from __future__ import annotations

import math

from ilf_kedro.evaluation.intervals import Estimate

__all__ = ["perplexity"]


def perplexity(nll_per_token: Estimate) -> Estimate:
    """Return the perplexity for an estimate of nats per token (log_likelihoods.nll_per_token).

    The ends of the interval are carried over as they are; the standard error by the delta method, as the
    derivative of exp is the perplexity itself.
    """
    value = math.exp(nll_per_token.value)
    error = None if nll_per_token.standard_error is None else value * nll_per_token.standard_error
    lower, upper = (None if end is None else math.exp(end) for end in (nll_per_token.lower, nll_per_token.upper))
    return Estimate(value, nll_per_token.n, error, lower, upper, nll_per_token.note)
