"""The figures of every model on the test inputs, in one tidy table."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict

import pandas as pd

from ilf_kedro.evaluation.intervals import Bootstrap, Estimate, mean_estimate, mean_share_estimate
from ilf_kedro.evaluation.judging import REFERENCE
from ilf_kedro.evaluation.log_likelihoods import nll_difference, nll_per_token
from ilf_kedro.evaluation.text_metrics import rouge_l, words
from ilf_kedro.schemas import DataFrame, Examples, LogLikelihoods, ModelMetrics, Outcomes, Outputs, Rewards
from ilf_kedro.schemas.names import BASE_MODEL

__all__ = ["BASE_MODEL", "model_metrics", "with_references"]

_BETWEEN_0_AND_1 = ("rouge_l", "reward")


def with_references(examples: DataFrame[Examples], outputs: DataFrame[Outputs]) -> pd.DataFrame:
    """Return example_id, model, sample_index and text of the outputs and, as one more model, the people's."""
    human = examples.loc[examples["reference"].notna(), ["example_id", "reference"]]
    human = human.rename(columns={"reference": "text"}).assign(model=REFERENCE, sample_index=0)
    columns = ["example_id", "model", "sample_index", "text"]
    parts: list[pd.DataFrame] = [human[columns], outputs[columns]]
    return pd.concat(parts, ignore_index=True)


def model_metrics(
    examples: DataFrame[Examples],
    outputs: DataFrame[Outputs],
    log_likelihoods: DataFrame[LogLikelihoods],
    rewards: DataFrame[Rewards],
    outcomes: DataFrame[Outcomes],
    *,
    chosen: Collection[str] = ("rouge", "length"),
    count_tokens: Callable[[Sequence[str]], list[int]],
    bootstrap: Bootstrap,
) -> DataFrame[ModelMetrics]:
    """Estimate every metric of every model, with errors over examples.

    Metrics: nll_per_token (nats, of the references), nll_minus_base (paired), rouge_l (F1 against the
    reference), length_tokens and length_words, reward (p(Yes) of the reward model), win_rate (over the
    references). Of rouge and length those that are `chosen`. Several samples of one example are averaged first.
    """
    texts = with_references(examples, outputs)
    if "length" in chosen:
        texts["length_tokens"] = count_tokens(texts["text"].tolist())
        texts["length_words"] = words(texts["text"].tolist())
    parts = [
        *_nll(log_likelihoods, bootstrap),
        *(_means(_rouge(examples, outputs), "rouge_l", bootstrap) if "rouge" in chosen else ()),
    ]
    for name in ("length_tokens", "length_words") if "length" in chosen else ():
        parts += _means(texts, name, bootstrap)
    parts += [
        *_means(rewards, "reward", bootstrap),
        *_means(outcomes.rename(columns={"outcome": "win_rate"}), "win_rate", bootstrap),
    ]
    rows = [{"model": model, "metric": metric, **asdict(estimate)} for model, metric, estimate in parts]
    return ModelMetrics.from_rows(rows)


def _rouge(examples: DataFrame[Examples], outputs: DataFrame[Outputs]) -> pd.DataFrame:
    pairs = outputs.merge(examples[["example_id", "reference"]].dropna(), on="example_id")
    return pairs.assign(rouge_l=rouge_l(pairs["text"].tolist(), pairs["reference"].tolist()))


def _nll(log_likelihoods: DataFrame[LogLikelihoods], bootstrap: Bootstrap) -> Iterator[tuple[str, str, Estimate]]:
    of_human = log_likelihoods[log_likelihoods["text_kind"] == REFERENCE]
    base = of_human[of_human["model"] == BASE_MODEL]
    for model, group in of_human.groupby("model", sort=False):
        yield str(model), "nll_per_token", nll_per_token(group, bootstrap)
        if model != BASE_MODEL and not base.empty:
            yield str(model), "nll_minus_base", nll_difference(group, base, bootstrap)


def _means(table: pd.DataFrame, metric: str, bootstrap: Bootstrap) -> Iterator[tuple[str, str, Estimate]]:
    for model, group in table.groupby("model", sort=False):
        per_example = group.groupby("example_id", sort=False)[metric].mean().dropna()
        if per_example.empty:
            continue
        if metric == "win_rate":
            yield str(model), metric, mean_share_estimate(per_example, bootstrap)
        else:
            within = (0.0, 1.0) if metric in _BETWEEN_0_AND_1 else (0.0, math.inf)
            yield str(model), metric, mean_estimate(per_example, bootstrap, within=within)
