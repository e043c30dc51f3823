"""Rankings as tables: the candidates that were ranked, and the same as refinements that scorers can score."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ilf_kedro.language_models.protocol import TokenCounter
from ilf_kedro.schemas import DataFrame, Examples, RankedCandidates, Refinements, UserError, text_or_empty

logger = logging.getLogger(__name__)

__all__ = ["METHOD", "candidates_of", "first_examples", "judged_candidates", "rankable_texts", "refinements_of"]

METHOD = "ranked_candidates"

Texts = dict[str, list[str]]


def first_examples(development: DataFrame[Examples], ids: Collection[str], n: int | None) -> list[str]:
    """Return the first n of `ids` (all where None) in the order of the development split."""
    in_order = development.sort_values("position")["example_id"]
    return [str(example_id) for example_id in in_order if example_id in ids][:n]


def candidates_of(rankings: pd.DataFrame, counter: TokenCounter) -> DataFrame[RankedCandidates]:
    """Count the tokens of ranked texts, by the same counter as the scorer longest."""
    counted = rankings.assign(n_tokens=counter.count_tokens(rankings["text"].tolist()))
    return RankedCandidates.validate(counted[RankedCandidates.column_names()])


def refinements_of(ranked: DataFrame[RankedCandidates]) -> DataFrame[Refinements]:
    """Return each example's different candidates once, without the initial output, in the form of refinements."""
    texts = ranked[~ranked["is_initial_output"]].drop_duplicates(["example_id", "sample_index"])
    table = texts[["example_id", "sample_index", "text", "n_tokens"]].assign(
        method=METHOD,
        raw_text=texts["text"],
        finish_reason="stop",
        seed=0,
        draw_index=texts["sample_index"],
        resampled=False,
        status="unique",
    )
    return Refinements.validate(table[Refinements.column_names()].reset_index(drop=True))


def rankable_texts(sampled: DataFrame[Refinements], development: DataFrame[Examples]) -> Texts:
    """Return the texts to rank for each example: its initial output first, then its different refinements.

    Empty refinements are left out, and so are examples with fewer than two different ones.

    Raises:
        UserError: no example is left.
    """
    initial = dict(zip(development["example_id"], development["initial_output"], strict=True))
    found: Texts = {}
    for example_id, drawn in sampled[sampled["text"] != ""].groupby("example_id", sort=False):
        first = text_or_empty(initial[str(example_id)])
        texts = [text for text in dict.fromkeys(drawn["text"]) if text != first]
        if len(texts) > 1:
            found[str(example_id)] = [first, *texts]
    if not found:
        raise UserError(
            f"tournament.rankings: judge: none of the {sampled['example_id'].nunique()} development examples has two "
            "different refinements to rank; raise refinement.n_refinements, or rank candidates in a file"
        )
    return found


def judged_candidates(texts: Texts, ranks: Sequence[NDArray[np.int64] | None], judge: str) -> pd.DataFrame:
    """Return a judge's ranks of `rankable_texts` as one row per candidate, marked as the judge's.

    Examples that the judge did not rank are left out.

    Raises:
        UserError: it ranked none.
    """
    unranked = sum(of_example is None for of_example in ranks)
    if unranked:
        logger.warning(
            "%s ranks %d of %d examples: on the others it gave no verdict", judge, len(ranks) - unranked, len(ranks)
        )
    if unranked == len(ranks):
        raise UserError(
            f"the judge of rankings, {judge}, gave no verdict on any of {len(ranks)} examples: it refused, or said "
            "something else than either answer. Name another judge in the catalog, or give people's rankings"
        )
    rows = [
        {
            "example_id": example_id,
            "ranked_by": f"judge:{judge}",
            "sample_index": index,
            "text": text,
            "is_initial_output": index == 0,
            "rank": int(rank),
        }
        for (example_id, own), of_example in zip(texts.items(), ranks, strict=True)
        if of_example is not None
        for index, (text, rank) in enumerate(zip(own, of_example, strict=True))
    ]
    return pd.DataFrame(rows)
