"""Which refinement a scorer chooses."""

from __future__ import annotations

from ilf_kedro.schemas import DataFrame, Refinements, Scores, Selections

_KEYS = ["example_id", "method"]


def select_best(scores: DataFrame[Scores], refinements: DataFrame[Refinements]) -> DataFrame[Selections]:
    """Choose, for each example, method and scorer, the refinement with the highest score.

    Ties go to the earlier sample; undefined scores rank last, so that an example whose scores are all
    undefined gets its first sample with a null score. Rows come in the order of the refinements.
    """
    ranked = scores.sort_values("sample_index", kind="stable").sort_values(
        "score", ascending=False, na_position="last", kind="stable"
    )
    best = ranked.drop_duplicates([*_KEYS, "scorer"]).sort_index(kind="stable")
    chosen = best.merge(refinements[[*_KEYS, "sample_index", "text"]], on=[*_KEYS, "sample_index"], how="left")
    return Selections.validate(chosen[["example_id", "method", "scorer", "sample_index", "score", "text"]])
