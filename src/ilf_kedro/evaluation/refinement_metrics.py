"""How refinement methods compare, and how scorers do: by a model's score, by length, by agreement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate
from ilf_kedro.schemas import DataFrame, RefinementMetrics, ScorerAgreement, Scores, Selections

__all__ = ["ANY", "refinement_metrics", "scorer_agreement"]

ANY = "any"
_METRICS = {"instruct_rm_ensemble": "instruct_rm_ensemble", "longest": "length_tokens"}
_REFINEMENT = ["example_id", "method", "sample_index"]


def refinement_metrics(
    scores: DataFrame[Scores], selections: DataFrame[Selections], bootstrap: Bootstrap
) -> DataFrame[RefinementMetrics]:
    """Estimate the mean InstructRM score and length of the refinements that each scorer chose.

    `chosen_by` "any" averages over all refinements of an example. The metric length_correlation is the mean
    over examples of Spearman's correlation between a scorer's scores and the lengths of the refinements.
    """
    wide = scores[scores["scorer"].isin(_METRICS)].pivot_table(index=_REFINEMENT, columns="scorer", values="score")
    wide = wide.rename(columns=_METRICS).reset_index()
    chosen = selections[[*_REFINEMENT, "scorer"]].rename(columns={"scorer": "chosen_by"})
    parts_of_table: list[pd.DataFrame] = [wide.assign(chosen_by=ANY), chosen.merge(wide, on=_REFINEMENT)]
    chosen_scores = pd.concat(parts_of_table, ignore_index=True)
    parts = [*_chosen_means(chosen_scores, bootstrap), *_length_correlations(scores, bootstrap)]
    rows = [
        {"method": method, "chosen_by": chosen_by, "metric": metric, **asdict(estimate)}
        for method, chosen_by, metric, estimate in parts
    ]
    return RefinementMetrics.from_rows(rows)


def scorer_agreement(selections: DataFrame[Selections]) -> DataFrame[ScorerAgreement]:
    """Return, for every pair of scorers, the share of examples for which both chose the same text."""
    rows = []
    for method, of_method in selections.groupby("method", sort=False):
        texts = of_method.pivot_table(index="example_id", columns="scorer", values="text", aggfunc="first")
        for scorer, other in combinations(of_method["scorer"].unique(), 2):
            both = texts[[scorer, other]].dropna()
            share = (both[scorer] == both[other]).mean()
            rows.append({"method": method, "scorer": scorer, "other": other, "n": len(both), "share": share})
    return ScorerAgreement.from_rows(rows)


def _chosen_means(chosen: pd.DataFrame, bootstrap: Bootstrap) -> Iterator[tuple[str, str, str, Estimate]]:
    for (method, chosen_by), group in chosen.groupby(["method", "chosen_by"], sort=False):
        for metric in (name for name in _METRICS.values() if name in group):
            per_example = group.groupby("example_id")[metric].mean().dropna()
            if len(per_example):
                yield str(method), str(chosen_by), metric, mean_estimate(per_example, bootstrap)


def _length_correlations(scores: DataFrame[Scores], bootstrap: Bootstrap) -> Iterator[tuple[str, str, str, Estimate]]:
    lengths = scores.loc[scores["scorer"] == "longest", [*_REFINEMENT, "score"]]
    pairs = scores[scores["scorer"] != "longest"].merge(lengths, on=_REFINEMENT, suffixes=("", "_length")).dropna()
    for (method, scorer), group in pairs.groupby(["method", "scorer"], sort=False):
        correlations = _rank_correlations(group.set_index("example_id")[["score", "score_length"]])
        if len(correlations):
            estimate = mean_estimate(correlations, bootstrap, within=(-1.0, 1.0))
            yield str(method), str(scorer), "length_correlation", estimate


def _rank_correlations(pairs: pd.DataFrame) -> pd.Series:
    """Return Spearman's correlation of the two columns within each example of the index.

    Left out are examples of which all values of a column are equal: it is undefined there.
    """
    examples = pairs.index
    ranks = pairs.groupby(examples).rank()
    centred = ranks - ranks.groupby(examples).transform("mean")
    products = pd.DataFrame(
        {
            "both": centred.iloc[:, 0] * centred.iloc[:, 1],
            "first": centred.iloc[:, 0] ** 2,
            "second": centred.iloc[:, 1] ** 2,
        }
    )
    sums = products.groupby(examples).sum()
    spread = sums["first"] * sums["second"]
    return (sums["both"] / np.sqrt(spread))[spread > 0].clip(-1, 1)
