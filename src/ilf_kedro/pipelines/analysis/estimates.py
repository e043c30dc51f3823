"""From what was measured to figures with errors and intervals, always over examples."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.evaluation.divergence import estimate
from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, ratio_estimate
from ilf_kedro.evaluation.perplexity import perplexity
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import DataFrame, Divergences, DivergenceSamples, TargetLikelihoods, TargetLogLikelihoods
from ilf_kedro.schemas.names import BASE_MODEL


def estimate_likelihoods(
    options: ReportingOptions, seed: int, *measured: DataFrame[TargetLogLikelihoods]
) -> DataFrame[TargetLikelihoods]:
    """Estimate NLL per token, perplexity and the paired difference from the base model, with intervals."""
    bootstrap = options.bootstrap(seed)
    table = pd.concat(measured, ignore_index=True)
    keys = ["model", "arm", "split", "train_size"]
    rows = []
    for key, group in table.groupby(keys, sort=False, dropna=False):
        identity = dict(zip(keys, key, strict=True))
        nll = ratio_estimate(-group["log_likelihood"], group["n_tokens"], bootstrap)
        found: dict[str, Estimate] = {"nll_per_token": nll, "perplexity": perplexity(nll)}
        if identity["model"] != BASE_MODEL:
            found["nll_minus_base"] = _minus_base(group, table, bootstrap)
        rows += [identity | {"metric": metric} | _cells(each) for metric, each in found.items()]
    return TargetLikelihoods.from_rows(rows)


def estimate_divergences(
    options: ReportingOptions, seed: int, *samples: DataFrame[DivergenceSamples]
) -> DataFrame[Divergences]:
    """Estimate every model's forward and backward divergence under every condition."""
    bootstrap = options.bootstrap(seed)
    rows = []
    keys = ["model", "condition", "direction"]
    for key, group in pd.concat(samples, ignore_index=True).groupby(keys, sort=False):
        rows += [
            dict(zip(keys, key, strict=True))
            | {"estimator": found.estimator, "unit": found.unit, "n_samples": found.n_samples}
            | {"monte_carlo_error": found.monte_carlo_error, "discrepancy": float(group["discrepancy"].mean())}
            | _cells(found.estimate)
            for found in estimate(group, bootstrap)
        ]
    return Divergences.validate(pd.DataFrame(rows)[Divergences.column_names()])


def _minus_base(group: pd.DataFrame, table: pd.DataFrame, bootstrap: Bootstrap) -> Estimate:
    """Estimate a model's nats per token less the base model's on the same held-out texts."""
    base = table[(table["model"] == BASE_MODEL) & (table["split"] != "train")]
    pairs = group.merge(base, on=["arm", "split", "example_id"], suffixes=("", "_base"))
    return ratio_estimate(pairs["log_likelihood_base"] - pairs["log_likelihood"], pairs["n_tokens"], bootstrap)


def _cells(found: Estimate) -> dict[str, float | int | str | None]:
    return {
        "n": found.n,
        "value": found.value,
        "standard_error": found.standard_error,
        "lower": found.lower,
        "upper": found.upper,
        "note": found.note,
    }
