"""Which refinements a scorer prefers."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.schemas import DataFrame, RankedSelections, Refinements, Scores, Selections

_KEYS = ["example_id", "method"]
_COLUMNS = [*_KEYS, "scorer", "sample_index", "score", "text"]


def select_best(scores: DataFrame[Scores], refinements: DataFrame[Refinements]) -> DataFrame[Selections]:
    """Choose, for each example, method and scorer, the refinement with the highest score.

    Ties go to the earlier sample; undefined scores rank last, so that an example whose scores are all
    undefined gets its first sample with a null score. Rows come in the order of the refinements.
    """
    best = _in_order(scores).drop_duplicates([*_KEYS, "scorer"]).sort_index(kind="stable")
    return Selections.validate(_with_texts(best, refinements)[_COLUMNS])


def select_top(scores: DataFrame[Scores], refinements: DataFrame[Refinements], k: int) -> DataFrame[RankedSelections]:
    """Rank, for each example, method and scorer, the refinements by score, and keep the ranks 1 to k.

    Ranks are those of `select_best`, whose choice has rank 1: no two are equal. Where there are fewer than k
    refinements, there are as many ranks.
    """
    scores = scores.reset_index(drop=True)  # rows are told apart by it below
    ranked = _in_order(scores)
    ranked = ranked.assign(rank=ranked.groupby([*_KEYS, "scorer"], sort=False).cumcount() + 1)
    place = scores.groupby([*_KEYS, "scorer"], sort=False).ngroup()
    top = ranked[ranked["rank"] <= k].assign(place=place).sort_values(["place", "rank"])
    return RankedSelections.validate(_with_texts(top, refinements)[[*_KEYS, "scorer", "rank", *_COLUMNS[3:]]])


def _in_order(scores: pd.DataFrame) -> pd.DataFrame:
    """Sort by score, undefined ones last, equal ones by sample."""
    return scores.sort_values("sample_index", kind="stable").sort_values(
        "score", ascending=False, na_position="last", kind="stable"
    )


def _with_texts(chosen: pd.DataFrame, refinements: pd.DataFrame) -> pd.DataFrame:
    return chosen.merge(refinements[[*_KEYS, "sample_index", "text"]], on=[*_KEYS, "sample_index"], how="left")
