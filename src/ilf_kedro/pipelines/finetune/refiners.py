"""Compares the finetuned refinement models with the catalog's refiner, on the development split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate
from ilf_kedro.evaluation.text_metrics import rouge_l
from ilf_kedro.language_models.protocol import TokenCounter
from ilf_kedro.pipelines.requirements import having_texts
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.schemas import DataFrame, Examples, Refinements, RefinerMetrics, Scores

REFINER = "refiner"
_INSTRUCT_RM = "instruct_rm_ensemble"
_KEYS = ["example_id", "method", "sample_index"]


def collect_refiners(*tables: DataFrame[Refinements]) -> DataFrame[Refinements]:
    """Put the refinements of all refiners into one table, told apart by `method`."""
    return Refinements.validate(pd.concat(tables, ignore_index=True))


def compare_refiners(
    examples: DataFrame[Examples],
    refinements: DataFrame[Refinements],
    scores: DataFrame[Scores],
    base_model: TokenCounter,
    options: ReportingOptions,
    seed: int,
) -> DataFrame[RefinerMetrics]:
    """Estimate each refiner's mean InstructRM score, ROUGE-L against the reference, and length.

    All N refinements of an example are averaged first. Differences from the catalog's refiner are paired by
    example.

    Raises:
        MissingColumnError: no example has a reference.
    """
    examples = having_texts(examples, ["reference"], user="the comparison of refiners")
    table = refinements.merge(examples[["example_id", "reference"]], on="example_id")
    ensemble = scores.loc[scores["scorer"] == _INSTRUCT_RM, [*_KEYS, "score"]]
    table = table.merge(ensemble.rename(columns={"score": _INSTRUCT_RM}), on=_KEYS, how="left")
    table["rouge_l"] = rouge_l(table["text"].tolist(), table["reference"].tolist())
    table["length_tokens"] = base_model.count_tokens(table["text"].tolist())
    bootstrap = options.bootstrap(seed)
    rows = [
        {"refiner": refiner, "metric": metric, **asdict(estimate)}
        for name in (_INSTRUCT_RM, "rouge_l", "length_tokens")
        for refiner, metric, estimate in _estimates(table, name, bootstrap)
    ]
    return RefinerMetrics.from_rows(rows)


def _estimates(table: pd.DataFrame, metric: str, bootstrap: Bootstrap) -> Iterator[tuple[str, str, Estimate]]:
    per_example = table.pivot_table(index="example_id", columns="method", values=metric, aggfunc="mean", sort=False)
    for refiner in per_example:
        yield str(refiner), metric, mean_estimate(per_example[refiner].dropna(), bootstrap)
        if refiner != REFINER and REFINER in per_example:
            difference = (per_example[refiner] - per_example[REFINER]).dropna()
            yield str(refiner), f"{metric}_minus_{REFINER}", mean_estimate(difference, bootstrap)
