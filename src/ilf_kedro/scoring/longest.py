"""The control that the paper lacked: the longest refinement, in tokens."""

from __future__ import annotations

from ilf_kedro.language_models.protocol import TokenCounter
from ilf_kedro.schemas import DataFrame, Refinements, Scores
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.tables import score_table

SCORER = "longest"


@scorer(SCORER, takes=("base_model",))
def longest_scores(refinements: DataFrame[Refinements], counter: TokenCounter) -> DataFrame[Scores]:
    """Score each refinement by its number of tokens, as `counter` counts them."""
    counts = counter.count_tokens(list(refinements["text"]))
    return score_table(refinements, SCORER, [float(count) for count in counts])
