"""Small tables of rankings and scores for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilf_kedro.schemas import RankedCandidates, Scores

METHOD = "ranked_candidates"


def ranked(
    ranks: Mapping[str, Sequence[int]],
    *,
    ranked_by: str = "human:anna",
    lengths: Mapping[str, Sequence[int]] | None = None,
    initial: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Return each example's candidates with their ranks; `initial` adds an initial output of that rank."""
    rows = []
    for example_id, own in ranks.items():
        every = [*own, *([initial[example_id]] if initial else [])]
        for index, rank in enumerate(every):
            rows.append(
                {
                    "example_id": example_id,
                    "ranked_by": ranked_by,
                    "sample_index": index,
                    "text": f"text {index} of {example_id}",
                    "n_tokens": lengths[example_id][index] if lengths else 10 + index,
                    "is_initial_output": index == len(own),
                    "rank": rank,
                }
            )
    return RankedCandidates.validate(pd.DataFrame(rows))


def scores(by_scorer: Mapping[str, Mapping[str, Sequence[float | None]]]) -> pd.DataFrame:
    """Return the scores of each example's candidates, in their order, by scorer."""
    rows = [
        {"example_id": example_id, "method": METHOD, "sample_index": index, "scorer": scorer, "score": score}
        for scorer, of_scorer in by_scorer.items()
        for example_id, own in of_scorer.items()
        for index, score in enumerate(own)
    ]
    return Scores.validate(pd.DataFrame(rows))


def simulated(
    n: int, strengths: Mapping[str, float], *, rng: np.random.Generator, k: int = 5
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rankings by a true quality, and scores that are it times a strength plus noise of variance 1."""
    quality = rng.normal(size=(n, k))
    ids = [f"e{i}" for i in range(n)]
    lengths = rng.integers(10, 40, (n, k))
    places = (-quality).argsort(axis=1).argsort(axis=1) + 1
    rankings = ranked(
        dict(zip(ids, places.tolist(), strict=True)), lengths=dict(zip(ids, lengths.tolist(), strict=True))
    )
    drawn = {
        scorer: dict(zip(ids, (strength * quality + rng.normal(size=(n, k))).tolist(), strict=True))
        for scorer, strength in strengths.items()
    }
    return rankings, scores(drawn)
