"""What every output is worth by every measure that there is a table for, in one tidy table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray

from ilf_kedro.evaluation.judging import REFERENCE
from ilf_kedro.evaluation.model_metrics import with_references
from ilf_kedro.evaluation.text_metrics import rouge_l, words
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    LogLikelihoods,
    Measurements,
    Outputs,
    Rankings,
    Rewards,
    Verdicts,
    Verified,
)

__all__ = ["JUDGE", "PEOPLE", "RANKS", "judge_of", "measured_outputs", "measured_rankings", "paired_log_odds"]

RANKS = "ranks:"
JUDGE = "judge:"
PEOPLE = f"{RANKS}people"

_LEAST = 1e-6  # a probability of 0 or 1 is one that rounding hid: log-odds of ±14
_KEY = ["example_id", "arm"]


def judge_of(measure: str) -> str | None:
    """Return the language model whose judgement a measure is; None where it is none's."""
    name = measure.removeprefix(RANKS)
    return name.removeprefix(JUDGE) if name.startswith(JUDGE) else None


def measured_rankings(rankings: DataFrame[Rankings], lengths: pd.DataFrame | None = None) -> DataFrame[Measurements]:
    """Return ranks as measurements: those of all people as one measure, those of each judge as another.

    `lengths` has example_id, arm and length, in words.
    """
    table = rankings.rename(columns={"method": "arm"}).assign(value=-rankings["rank"].astype(float))
    by_judge = table["judged_by"].str.startswith(JUDGE)
    table["measure"] = (RANKS + table["judged_by"]).where(by_judge, PEOPLE)
    if lengths is None:
        table["length"] = np.nan
    else:
        table = table.merge(lengths, on=_KEY, how="left")
    return Measurements.validate(table[Measurements.column_names()].reset_index(drop=True))


def measured_outputs(
    examples: DataFrame[Examples],
    outputs: DataFrame[Outputs],
    *,
    rewards: DataFrame[Rewards] | None = None,
    verified: DataFrame[Verified] | None = None,
    log_likelihoods: DataFrame[LogLikelihoods] | None = None,
    verdicts: DataFrame[Verdicts] | None = None,
    rouge: bool = True,
) -> DataFrame[Measurements]:
    """Return what models' outputs and references are worth, the mean over the samples of an input.

    Measures: pass_rate, judge:<name> (mean log-odds over the reference), reward, rouge_l, and log_likelihood, that of
    the references in nats per token, which has no length: it is of no output.
    """
    texts = with_references(examples, outputs).rename(columns={"model": "arm"})
    texts["length"] = words(texts["text"].tolist())
    lengths = texts.groupby(_KEY, as_index=False, sort=False)["length"].mean()
    parts = list(_per_output(verified, rewards))
    if verdicts is not None and len(verdicts):
        parts += list(_judged(verdicts))
    if rouge and examples["reference"].notna().any():
        parts.append(_rouge(examples, outputs))
    tables = [part.merge(lengths, on=_KEY, how="left") for part in parts]
    if log_likelihoods is not None and len(log_likelihoods):
        tables.append(_likelihoods(log_likelihoods).assign(length=np.nan))
    if not tables:
        return Measurements.from_rows([])
    table = pd.concat(tables, ignore_index=True).dropna(subset="value")
    return Measurements.validate(table.fillna({"judged_by": ""})[Measurements.column_names()].reset_index(drop=True))


def paired_log_odds(p_shown_first: ArrayLike, p_of_other_first: ArrayLike) -> NDArray[np.float64]:
    """Return the mean log-odds of an output over another, from the probability of the first in both orders.

    What a judge gives to the place cancels, and what it gives to the output stays, where two hard verdicts that
    contradict each other would say nothing.
    """
    first = np.clip(np.asarray(p_shown_first, dtype=np.float64), _LEAST, 1 - _LEAST)
    second = np.clip(np.asarray(p_of_other_first, dtype=np.float64), _LEAST, 1 - _LEAST)
    return np.asarray((scipy.special.logit(first) - scipy.special.logit(second)) / 2)


def _per_output(verified: DataFrame[Verified] | None, rewards: DataFrame[Rewards] | None) -> Iterator[pd.DataFrame]:
    if verified is not None and len(verified):
        scored = verified.dropna(subset="score")
        yield _means(scored.assign(value=(scored["score"] >= 1).astype(float)), "pass_rate")
    if rewards is not None and len(rewards):
        yield _means(rewards.rename(columns={"reward": "value"}), "reward")


def _means(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    named = table.rename(columns={"model": "arm"})
    means = named.groupby(_KEY, sort=False)[["value"]].mean().reset_index()
    return means.assign(measure=measure, judged_by="")


def _judged(verdicts: DataFrame[Verdicts]) -> Iterator[pd.DataFrame]:
    """Yield each judge's log-odds over the reference, and the reference's own, which are 0."""
    for judge, own in verdicts.groupby("judged_by", sort=True):
        wide = own.pivot_table(index=["example_id", "model"], columns="order", values="p_first", sort=False)
        wide = wide.reindex(columns=["model_first", "baseline_first"]).dropna()
        odds = wide.index.to_frame(index=False).rename(columns={"model": "arm"})
        odds["value"] = paired_log_odds(wide["model_first"], wide["baseline_first"])
        itself = pd.DataFrame({"example_id": odds["example_id"].unique(), "arm": REFERENCE, "value": 0.0})
        yield pd.concat([odds, itself], ignore_index=True).assign(
            measure=f"{JUDGE}{judge}", judged_by=f"{JUDGE}{judge}"
        )


def _rouge(examples: DataFrame[Examples], outputs: DataFrame[Outputs]) -> pd.DataFrame:
    pairs = outputs.merge(examples[["example_id", "reference"]].dropna(), on="example_id")
    return _means(pairs.assign(value=rouge_l(pairs["text"].tolist(), pairs["reference"].tolist())), "rouge_l")


def _likelihoods(log_likelihoods: DataFrame[LogLikelihoods]) -> pd.DataFrame:
    own = log_likelihoods[log_likelihoods["text_kind"] == REFERENCE]
    return _means(own.assign(value=own["log_likelihood"] / own["n_tokens"]), "log_likelihood")
