"""What a tournament of scorers takes and finds: ranked candidates, metrics, contests and costs."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Estimates, Table


class RankedCandidates(Table):
    """Candidates for one example as one ranker ranked them: rank 1 is the best, equal ranks are ties.

    `ranked_by` is such as human:anna or judge:gpt-x; `sample_index` numbers the different texts of an example.
    The initial output is ranked among the others where the ranker saw it, but no scorer may choose it.
    """

    example_id: Series[str]
    ranked_by: Series[str] = pa.Field(str_matches=r"^(human|judge):")
    sample_index: Series[int] = pa.Field(ge=0)
    text: Series[str]
    n_tokens: Series[int] = pa.Field(ge=0)
    is_initial_output: Series[bool]
    rank: Series[int] = pa.Field(ge=1)

    class Config:
        unique = ["example_id", "ranked_by", "sample_index"]


class ScorerMetrics(Estimates):
    """One figure of one scorer with its error and interval over examples.

    `n` counts the examples for which the figure is defined. What cannot be estimated is null, and `note` says why.
    """

    scorer: Series[str]
    metric: Series[str]
    value: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["scorer", "metric"]


class ScorerContests(Table):
    """Every two scorers on the same examples: by how much `scorer` won more often over a random refinement.

    `scorer` is the one with the higher win rate. `adjusted_p` is corrected for all contests of the table;
    `rankings_needed` is how many ranked examples would show the observed difference, null where there is none.
    """

    scorer: Series[str]
    other: Series[str]
    n: Series[int]
    difference: Series[float]
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    p_value: Series[float] = pa.Field(ge=0, le=1)
    adjusted_p: Series[float] = pa.Field(ge=0, le=1)
    rankings_needed: Series[float] = pa.Field(nullable=True)

    class Config:
        unique = ["scorer", "other"]


class ScorerCosts(Table):
    """What the node of a scorer took; several scorers that one node computes share its cost.

    Tokens are those that its language models read and wrote. Where answers came from the cache, the cost of the
    others says nothing about the scorer: `cpu_seconds` and `tokens` are null, and `note` says so.
    """

    scorer: Series[str] = pa.Field(unique=True)
    made_by: Series[str]
    cpu_seconds: Series[float] = pa.Field(nullable=True)
    tokens: Series[float] = pa.Field(nullable=True)
    usd: Series[float] = pa.Field(nullable=True)
    note: Series[str] = pa.Field(nullable=True)
