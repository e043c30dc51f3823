"""The tournament's tables as they are shown: standings, every figure, and the paper's beside ours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ilf_kedro.evaluation.recommendation import Recommendation
from ilf_kedro.evaluation.tournament import WIN_RATE
from ilf_kedro.pipelines.tournament.score_labels import label
from ilf_kedro.report.labels import number
from ilf_kedro.schemas import DataFrame, PublishedResults, ScorerContests, ScorerCosts, ScorerMetrics

__all__ = ["detail_table", "published_table", "standings_table"]

_EQUAL = "length_controlled_"
_ACCURACY = "pairwise_accuracy"
_DETAIL = {
    WIN_RATE: "Win rate over random",
    _EQUAL + WIN_RATE: "at equal length",
    "win_rate_over_initial": "Win rate over initial",
    _EQUAL + "win_rate_over_initial": "at equal length ",
    _ACCURACY: "Pairwise accuracy",
    _EQUAL + _ACCURACY: "at equal length  ",
    "kendall_tau": "Kendall's τ-b",
    "length_correlation": "ρ with length",
}
_PUBLISHED = {
    "max_length": "longest",
    "opt_reward_model": "reward_model",
    "gpt3_reward_model": None,
    "embedding_similarity": "embedding_similarity_max",
    **{f"instruct_rm_prompt_{number}": f"instruct_rm_{number}" for number in range(1, 6)},
    "instruct_rm_ensemble": "instruct_rm_ensemble",
}


def standings_table(
    metrics: DataFrame[ScorerMetrics],
    contests: DataFrame[ScorerContests],
    costs: DataFrame[ScorerCosts],
    found: Recommendation,
) -> pd.DataFrame:
    """Return one row per scorer, the highest win rate first."""
    values = metrics.pivot_table(index="scorer", columns="metric", values="value", dropna=False)
    errors = metrics[metrics["metric"] == WIN_RATE].set_index("scorer")["standard_error"]
    own = contests[contests["scorer"] == found.leader].set_index("other")
    priced = costs.set_index("scorer")
    order = _in_order(metrics)
    values = values.reindex(order)
    more = (own["rankings_needed"] - own["n"]).clip(lower=1).where(own["adjusted_p"] > found.level, 0)
    table = pd.DataFrame(
        {
            "Scorer": [label(scorer) for scorer in order],
            "Win rate": values[WIN_RATE].to_numpy(),
            "±": errors.reindex(order).to_numpy(),
            "at equal length": values.get(_EQUAL + WIN_RATE, pd.Series(dtype=float)).reindex(order).to_numpy(),
            "Accuracy": values[_ACCURACY].to_numpy() if _ACCURACY in values else float("nan"),
            "τ-b": values["kendall_tau"].to_numpy() if "kendall_tau" in values else float("nan"),
            "ρ with length": values.get("length_correlation", pd.Series(dtype=float)).reindex(order).to_numpy(),
            "p": own["adjusted_p"].reindex(order).to_numpy(),
            "More rankings": more.reindex(order).to_numpy(),
            "CPU-seconds": priced["cpu_seconds"].reindex(order).to_numpy(),
            "Tokens": priced["tokens"].reindex(order).to_numpy(),
            "Undefined": values["undefined_scores"].to_numpy(),
        }
    )
    if priced["usd"].notna().any():
        table["USD"] = priced["usd"].reindex(order).to_numpy()
    return table


def detail_table(metrics: DataFrame[ScorerMetrics]) -> pd.DataFrame:
    """Return one row per scorer with every figure, its standard error and its interval, as text."""
    order = _in_order(metrics)
    rows = {(row["scorer"], row["metric"]): row for row in metrics.to_dict("records")}
    table = pd.DataFrame({"Scorer": [label(scorer) for scorer in order]})
    for metric, heading in _DETAIL.items():
        if metric in set(metrics["metric"]):
            table[heading] = [_shown(rows.get((scorer, metric))) for scorer in order]
    table["Notes"] = [
        "; ".join(
            dict.fromkeys(
                str(row["note"])
                for metric in _DETAIL
                if (row := rows.get((scorer, metric))) is not None and pd.notna(row["note"])
            )
        )
        or None
        for scorer in order
    ]
    return table


def published_table(published: DataFrame[PublishedResults], metrics: DataFrame[ScorerMetrics]) -> pd.DataFrame:
    """Return the paper's win rates over a random refinement beside those of the same scorers here."""
    theirs = published[published["experiment"] == "scoring_functions"].sort_values("value", ascending=False)
    ours = {row["scorer"]: row for row in metrics[metrics["metric"] == WIN_RATE].to_dict("records")}
    counterparts = [_PUBLISHED.get(str(method)) for method in theirs["method"]]
    return pd.DataFrame(
        {
            "Scorer": [
                label(counterpart) if counterpart else str(method).replace("_", " ").replace("gpt3", "GPT-3")
                for method, counterpart in zip(theirs["method"], counterparts, strict=True)
            ],
            "Paper": [
                f"{number(value, 3)} ± {number(error, 3)}"
                for value, error in zip(theirs["value"], theirs["standard_error"], strict=True)
            ],
            "Ours": [_shown(ours.get(str(counterpart))) for counterpart in counterparts],
        }
    )


def _in_order(metrics: DataFrame[ScorerMetrics]) -> list[str]:
    wins = metrics[metrics["metric"] == WIN_RATE].sort_values("value", ascending=False, kind="stable")
    return [str(scorer) for scorer in wins["scorer"]]


def _shown(row: Mapping[Hashable, Any] | None) -> str | None:
    """Return "0.650 ± 0.027 (0.60 to 0.70)" with what of it is known."""
    if row is None or pd.isna(row["value"]):
        return None
    text = number(row["value"], 3)
    if pd.notna(row["standard_error"]):
        text += f" ± {number(row['standard_error'], 3)}"
    if pd.notna(row["lower"]):
        text += f" ({number(row['lower'], 2)} to {number(row['upper'], 2)})"
    return text
