"""Negative log-likelihood per token of given texts under a model."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, ratio_estimate
from ilf_kedro.schemas import UserError

__all__ = ["nll_difference", "nll_per_token"]


def nll_per_token(log_likelihoods: pd.DataFrame, bootstrap: Bootstrap) -> Estimate:
    """Estimate a model's nats per token over all examples: the ratio of the sums, so that tokens count alike.

    `log_likelihoods` has the rows of one model and one kind of text (schemas.LogLikelihoods).
    """
    return ratio_estimate(
        -log_likelihoods["log_likelihood"],
        log_likelihoods["n_tokens"],
        bootstrap,
    )


def nll_difference(log_likelihoods: pd.DataFrame, baseline: pd.DataFrame, bootstrap: Bootstrap) -> Estimate:
    """Estimate a model's nats per token less a baseline's, paired by example: below 0 the model is better.

    Both must share the tokenizer; only examples that both have are counted.

    Raises:
        UserError: the two count different numbers of tokens for the same text.
        ValueError: they share no example.
    """
    pairs = log_likelihoods.merge(baseline, on=["example_id", "text_kind"], suffixes=("", "_baseline"))
    if (pairs["n_tokens"] != pairs["n_tokens_baseline"]).any():
        raise UserError(
            "nats per token compare only between models with one tokenizer, but the token counts of the same texts "
            "differ: these tables are of different base models; run `kedro run --pipelines finetune` again"
        )
    return ratio_estimate(
        pairs["log_likelihood_baseline"] - pairs["log_likelihood"],
        pairs["n_tokens"],
        bootstrap,
    )
