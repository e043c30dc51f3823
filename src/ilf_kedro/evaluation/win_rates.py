"""Win rates: 1 for a win, ½ for a tie, 0 for a loss, averaged over examples (paper, section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ilf_kedro.evaluation.intervals import Estimate, clustered_share_estimate, standard_error_of_mean
from ilf_kedro.evaluation.text_metrics import words
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    JudgeAgreement,
    Outcomes,
    Outputs,
    Rankings,
    Verdicts,
    WinRates,
    text_or_empty,
)

__all__ = [
    "ConsistentVerdicts",
    "consistent_verdicts",
    "judge_agreement",
    "outcomes_from_ranks",
    "outcomes_from_verdicts",
    "tells_models_apart",
    "win_rates",
    "win_rates_from_rankings",
]

ALL_MODELS = "all"


@dataclass(frozen=True, slots=True)
class ConsistentVerdicts:
    """Where the verdicts went that were the same in both orders.

    `n_unequal` of the `n` are on outputs of unequal length in words; `for_longer` counts among those.
    """

    n: int
    for_human: int
    n_unequal: int
    for_longer: int


def outcomes_from_ranks(ranks: ArrayLike, baseline_ranks: ArrayLike) -> NDArray[np.float64]:
    """Return 1 where the rank is better (lower) than the baseline's, ½ where equal, else 0."""
    return np.asarray((np.sign(np.asarray(baseline_ranks) - np.asarray(ranks)) + 1) / 2, dtype=np.float64)


def outcomes_from_verdicts(verdicts: DataFrame[Verdicts]) -> DataFrame[Outcomes]:
    """Join the two orders of each pair: a preference counts only where both orders agree, else ½.

    A pair of which either verdict is undefined is left out: a refusal is no tie.

    Raises:
        ValueError: a pair was not judged in both orders, each once.
    """
    keys = ["example_id", "model", "baseline", "judged_by"]
    pairs = verdicts.pivot_table(index=keys, columns="order", values="prefers", aggfunc="first")
    pairs = pairs.reindex(columns=["model_first", "baseline_first"])
    if pairs.isna().any(axis=None):
        broken = list(pairs.index[pairs.isna().any(axis=1)][:3])
        raise ValueError(f"expected every pair to be judged in both orders, found only one for {broken}")
    pairs = pairs[(pairs != "undefined").all(axis=1)]
    agrees = (pairs["model_first"] == pairs["baseline_first"]) & (pairs["model_first"] != "neither")
    wins = (pairs["model_first"] == "model").astype(float)
    outcomes = pairs.index.to_frame(index=False)
    outcomes["agrees"] = agrees.to_numpy()
    outcomes["outcome"] = wins.where(agrees, 0.5).to_numpy()
    return Outcomes.validate(outcomes)


def win_rates(outcomes: DataFrame[Outcomes]) -> DataFrame[WinRates]:
    """Average the outcomes of each model against each baseline, with standard errors (n - 1) and ties."""
    keys = ["model", "baseline", "judged_by"]
    rows = [
        dict(zip(keys, key, strict=True))
        | {
            "n": len(group),
            "win_rate": group["outcome"].mean(),
            "standard_error": standard_error_of_mean(group["outcome"]),
            "ties": (group["outcome"] == 0.5).mean(),
        }
        for key, group in outcomes.groupby(keys, sort=True)
    ]
    return WinRates.from_rows(rows)


def win_rates_from_rankings(rankings: DataFrame[Rankings]) -> DataFrame[WinRates]:
    """Return the win rate of every method over every other, from rankings that hold both.

    Rank 1 is the best, and equal ranks are ties.
    """
    ranks = rankings.pivot_table(index=["example_id", "judged_by"], columns="method", values="rank")
    parts = []
    for method, baseline in permutations(ranks.columns, 2):
        both = ranks[[method, baseline]].dropna()
        part = both.index.to_frame(index=False)
        part["model"], part["baseline"], part["agrees"] = method, baseline, True
        part["outcome"] = outcomes_from_ranks(both[method], both[baseline])
        parts.append(part)
    columns = Outcomes.column_names()
    outcomes = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    return win_rates(Outcomes.validate(outcomes))


def judge_agreement(verdicts: DataFrame[Verdicts], *, confidence: float) -> DataFrame[JudgeAgreement]:
    """Estimate how often a judge gives one verdict in both orders, per model and over all of them.

    The interval for all models counts the pairs of one input as dependent. A model whose every verdict is
    undefined has 0 pairs, and no agreement.
    """
    outcomes = outcomes_from_verdicts(verdicts)
    rows = []
    for judge, asked in verdicts.groupby("judged_by", sort=True):
        judged = outcomes[outcomes["judged_by"] == judge]
        groups = {ALL_MODELS: asked} | {str(model): group for model, group in asked.groupby("model", sort=True)}
        for model, own in groups.items():
            group = judged if model == ALL_MODELS else judged[judged["model"] == model]
            estimate = _agreement(group, confidence) if len(group) else Estimate(math.nan, 0)
            rows.append(
                {
                    "judged_by": judge,
                    "model": model,
                    "n_pairs": estimate.n,
                    "n_examples": group["example_id"].nunique(),
                    "agreement": estimate.value,
                    "lower": estimate.lower,
                    "upper": estimate.upper,
                    "n_undefined": len(own) // 2 - estimate.n,
                    "covered": own["covered"].mean(),
                }
            )
    return JudgeAgreement.from_rows(rows)


def consistent_verdicts(
    outcomes: DataFrame[Outcomes], outputs: DataFrame[Outputs], examples: DataFrame[Examples]
) -> ConsistentVerdicts:
    """Count, among verdicts that both orders agree on, those for the reference and for the longer one.

    A judge that always takes the longer output, or always the human one, agrees with itself throughout.
    """
    first = outputs.loc[outputs["sample_index"] == 0, ["example_id", "model", "text"]]
    consistent = outcomes[outcomes["agrees"]].merge(first, on=["example_id", "model"])
    consistent = consistent.merge(examples[["example_id", "reference"]], on="example_id")
    longer_by = words(consistent["text"].tolist()) - words([text_or_empty(text) for text in consistent["reference"]])
    model_won = (consistent["outcome"] == 1).to_numpy()
    return ConsistentVerdicts(
        n=len(consistent),
        for_human=int((~model_won).sum()),
        n_unequal=int((longer_by != 0).sum()),
        for_longer=int(((longer_by > 0) & model_won).sum() + ((longer_by < 0) & ~model_won).sum()),
    )


def tells_models_apart(agreement_lower: float) -> bool:
    """Say whether a judge agrees with itself more often than a coin would.

    Two tosses of a fair coin agree half of the time, and so at most do two verdicts that depend on the
    position alone (first with probability q in either order: they agree with 2q(1 - q)). A judge whose
    interval reaches down to ½ has therefore not shown that more than the position decides. One that passes may
    still go by something else than quality, such as length (see `consistent_verdicts`).
    """
    return agreement_lower > 0.5


def _agreement(outcomes: pd.DataFrame, confidence: float) -> Estimate:
    return clustered_share_estimate(outcomes["agrees"].tolist(), outcomes["example_id"].tolist(), confidence=confidence)
