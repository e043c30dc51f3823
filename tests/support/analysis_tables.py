"""Tables as the analysis' measuring nodes leave them: the columns real, the figures drawn."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from ilf_kedro.pipelines.analysis.estimates import estimate_divergences, estimate_likelihoods
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import DivergenceSamples, TargetLogLikelihoods

ARMS = ("refinements", "references", "initial_outputs")
MODELS = (("refinements", 6), *((arm, 12) for arm in ARMS))
REPORTING = ReportingOptions(bootstrap_resamples=100)  # the fewest


def log_likelihoods(model: str, arm: str, split: str = "validation", *, per_token: float = 2.0, size: float = np.nan):
    """Ten texts of 11 to 20 tokens, at `per_token` nats each and a little noise."""
    rng = np.random.default_rng([len(model), len(arm)])
    n_tokens = np.arange(11, 21)
    table = pd.DataFrame({"example_id": [f"{split}-{i}" for i in range(10)], "n_tokens": n_tokens})
    table["log_likelihood"] = -per_token * n_tokens + rng.normal(0, 0.5, 10)
    return TargetLogLikelihoods.validate(table.assign(model=model, arm=arm, split=split, train_size=size))


@functools.cache
def likelihoods():
    base = [log_likelihoods("finetune.base", arm) for arm in ARMS]
    base += [log_likelihoods("finetune.base", arm, "train", size=float(size)) for arm, size in MODELS]
    tuned = [log_likelihoods(f"finetune.{arm}.n{size}", arm, per_token=1.5) for arm, size in MODELS]
    return estimate_likelihoods(REPORTING, 0, pd.concat(base, ignore_index=True), *tuned)


def divergence_samples(model: str):
    rng = np.random.default_rng(len(model))
    rows = []
    for condition, n_inputs, n_samples in (("test_inputs", 12, 2), ("unconditional", 20, 1)):
        for direction in ("forward", "backward"):
            for post in range(n_inputs):
                for index in range(n_samples):
                    log_ratio = rng.normal(0.3, 0.2)
                    row = {"example_id": f"{condition}-{post}", "sample_index": index, "log_ratio": log_ratio}
                    rows.append(row | {"condition": condition, "direction": direction})
    table = pd.DataFrame(rows).assign(model=model, n_tokens=20, ended=True, discrepancy=1e-6)
    return DivergenceSamples.validate(table.assign(controlled=0.3))


@functools.cache
def divergences():
    samples = [divergence_samples(f"finetune.{arm}.n{size}") for arm, size in MODELS]
    return estimate_divergences(REPORTING, 0, *samples)
