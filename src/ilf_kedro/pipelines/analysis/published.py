"""The published likelihoods and divergences beside ours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from ilf_kedro.report.labels import arm_and_size, number, number_or_none, words_of
from ilf_kedro.schemas import DataFrame, Divergences, PublishedResults, TargetLikelihoods

__all__ = ["published_divergences", "published_likelihoods", "readable", "with_error"]

_METHODS = {
    "finetuned_on_refinements": "refinements",
    "finetuned_on_references": "references",
    "finetuned_on_initial_outputs": "initial_outputs",
}


def published_likelihoods(
    likelihoods: DataFrame[TargetLikelihoods], published: DataFrame[PublishedResults]
) -> pd.DataFrame:
    """Put the published NLL of train targets under the base model, and perplexities, beside ours at every size."""
    nll = published[published["experiment"] == "davinci_nll_of_train_targets"]
    train = likelihoods[(likelihoods["split"] == "train") & (likelihoods["metric"] == "nll_per_token")]
    rows = [
        {
            "figure": "NLL of train targets, base model",
            "arm": words_of(str(row["method"])),
            "paper": f"{row['train_size']:,.0f}: {with_error(row, 3)}",
            "ours": _ours(train[train["arm"] == row["method"]], 3),
        }
        for row in nll.to_dict("records")
    ]
    ppl = published[published["experiment"] == "perplexity_of_finetuned_on_references"]
    held_out = likelihoods[(likelihoods["split"] != "train") & (likelihoods["metric"] == "perplexity")]
    tuned = held_out[(held_out["arm"] == "references") & held_out["model"].map(lambda m: bool(arm_and_size(m)))]
    if len(ppl):
        theirs = "; ".join(f"{row['train_size']:,.0f}: {number(row['value'], 2)}" for row in ppl.to_dict("records"))
        label = f"perplexity, held-out (paper: {ppl['split'].iloc[0]} split)"
        figures = {"paper": theirs, "ours": _ours(tuned, 2)}
        rows.append({"figure": label, "arm": words_of("references"), **figures})
    return pd.DataFrame(rows, columns=["figure", "arm", "paper", "ours"])


def published_divergences(divergences: DataFrame[Divergences], published: DataFrame[PublishedResults]) -> pd.DataFrame:
    """Put the published unconditional divergences beside ours, of the largest train size, in both units."""
    ours = divergences[(divergences["condition"] == "unconditional") & (divergences["estimator"] == "log_ratio")]
    largest = max(((arm_and_size(model) or ("", 0))[1] for model in ours["model"]), default=0)
    rows = []
    for row in published[published["experiment"] == "kl_divergence"].to_dict("records"):
        arm, direction = _METHODS.get(str(row["method"]), ""), str(row["metric"]).removesuffix("_kl")
        own = ours[(ours["model"] == f"finetune.{arm}.n{largest}") & (ours["direction"] == direction)]
        by_unit = {each["unit"]: with_error(each, 4) for each in own.to_dict("records")}
        rows.append(
            {
                "arm": words_of(arm),
                "direction": direction,
                "paper": with_error(row, 3),
                "ours, per sequence": by_unit.get("nats_per_sequence"),
                "ours, per token": by_unit.get("nats_per_token"),
            }
        )
    return pd.DataFrame(rows, columns=["arm", "direction", "paper", "ours, per sequence", "ours, per token"])


def _ours(rows: pd.DataFrame, digits: int) -> str | None:
    """Return our figures, each after its train size."""
    found = []
    for row in rows.to_dict("records"):
        size = (arm_and_size(str(row["model"])) or ("", row["train_size"]))[1]
        found.append(f"{size:,.0f}: {with_error(row, digits)}")
    return "; ".join(found) or None


def with_error(row: Mapping[Hashable, Any], digits: int) -> str:
    """Return a value with its standard error, if that is known."""
    error = number_or_none(row["standard_error"])
    return readable(row["value"], digits) + ("" if error is None else f" ± {readable(error, digits)}")


def readable(value: float, digits: int) -> str:
    """Return a number with its digits, and one that would lose all of them by its power of ten."""
    if value == 0 or abs(value) >= 10**-digits:
        return number(value, digits)
    return f"{value:.1e}".replace("-", "−")
