"""How often a verifier passes what was written: single texts, the best of k, and the one that a scorer chose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import comb

import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_share_estimate
from ilf_kedro.schemas import DataFrame, PassRates

__all__ = ["ANY", "pass_at_k", "pass_rates"]

ANY = "any"


def pass_at_k(n: int, passed: int, k: int) -> float:
    """Return the probability that k of n samples, drawn without replacement, hold one of the `passed` ones.

    Over examples its mean is the unbiased estimator of Chen et al. 2021 (arXiv 2107.03374), equation 1.

    Raises:
        ValueError: k is not within 1..n, or passed not within 0..n.
    """
    if not (1 <= k <= n and 0 <= passed <= n):
        raise ValueError(f"pass@k needs 1 <= k <= n and 0 <= passed <= n, found k = {k}, n = {n}, passed = {passed}")
    return 1 - comb(n - passed, k) / comb(n, k)


def pass_rates(verified: pd.DataFrame, chosen: pd.DataFrame, bootstrap: Bootstrap) -> DataFrame[PassRates]:
    """Estimate the pass rates of each writer, with errors over examples.

    `verified` has a row per text: writer, example_id and score; a score of 1 passes, and null (the verifier gave none)
    is left out. `chosen` has one row per writer, example and `chosen_by`, the scorer that chose it, with the text's
    score. The metrics are pass@k for k = 1, 2, 4, … and for as many samples as every example has, and the mean score.
    """
    rows = [
        {"writer": writer, "chosen_by": chosen_by, "metric": metric, **asdict(estimate)}
        for writer, chosen_by, metric, estimate in (*_of_all(verified, bootstrap), *_of_chosen(chosen, bootstrap))
    ]
    return PassRates.from_rows(rows)


def _of_all(verified: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[tuple[str, str, str, Estimate]]:
    for writer, own in verified.dropna(subset=["score"]).groupby("writer", sort=False):
        by_example = own.assign(passed=own["score"] >= 1).groupby("example_id", sort=False)
        counts = list(zip(by_example.size(), by_example["passed"].sum(), strict=True))
        most = min(n for n, _ in counts)
        for k in sorted({most, *(2**power for power in range(most.bit_length()))}):
            values = [pass_at_k(n, int(passed), k) for n, passed in counts]
            yield str(writer), ANY, f"pass@{k}", mean_share_estimate(values, bootstrap)
        yield str(writer), ANY, "score", mean_share_estimate(by_example["score"].mean(), bootstrap)


def _of_chosen(chosen: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[tuple[str, str, str, Estimate]]:
    for (writer, chosen_by), own in chosen.dropna(subset=["score"]).groupby(["writer", "chosen_by"], sort=False):
        yield str(writer), str(chosen_by), "pass@1", mean_share_estimate((own["score"] >= 1).astype(float), bootstrap)
