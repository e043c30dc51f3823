"""From scores in the order of the refinements to the one tidy table, and what in it is undefined."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ilf_kedro.language_models.protocol import Completion
from ilf_kedro.language_models.tables import completion_rows
from ilf_kedro.prompting import Prompt, classify_draws
from ilf_kedro.schemas import DataFrame, Refinements, Scores, UndefinedScores

logger = logging.getLogger(__name__)

_REFINEMENT = ["example_id", "method", "sample_index"]


def refinement_table(
    prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]], *, method: str
) -> DataFrame[Refinements]:
    """Return the refinements that were sampled for each prompt, once and all accepted, with what is wrong with each."""
    table = pd.DataFrame(completion_rows(prompts, completions))
    table = table.assign(method=method, draw_index=table["sample_index"], resampled=False)
    statuses = [
        status for _, own in table.groupby("example_id", sort=False) for status in classify_draws(list(own["text"]))
    ]
    return Refinements.validate(table.assign(status=statuses)[Refinements.column_names()])


def score_table(refinements: DataFrame[Refinements], scorer: str, scores: Sequence[float | None]) -> DataFrame[Scores]:
    """Return one row per refinement with its score by `scorer`; an empty refinement's score is null."""
    table = refinements[_REFINEMENT].copy()
    table["scorer"] = scorer
    values = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    table["score"] = pd.Series(values, index=table.index).where(refinements["text"] != "")
    return Scores.validate(table)


def count_undefined(scores: DataFrame[Scores], refinements: DataFrame[Refinements]) -> DataFrame[UndefinedScores]:
    """Count the undefined scores of every scorer and method, and log those of refinements that are not empty."""
    texts = refinements[[*_REFINEMENT, "text"]]
    table = scores.merge(texts, on=_REFINEMENT, how="left", validate="many_to_one")
    table = table.assign(n=1, n_undefined=table["score"].isna())
    table["n_empty"] = table["n_undefined"] & (table["text"] == "")
    counts = table.groupby(["method", "scorer"], sort=False, as_index=False)[["n", "n_undefined", "n_empty"]].sum()
    unanswered = counts.assign(unanswered=counts["n_undefined"] - counts["n_empty"])
    for row in unanswered[unanswered["unanswered"] > 0].to_dict("records"):
        logger.warning(
            "%(unanswered)d of %(n)d scores by %(scorer)s are undefined though the refinement (%(method)s) is not "
            "empty: they rank last",
            row,
        )
    return UndefinedScores.validate(counts)
