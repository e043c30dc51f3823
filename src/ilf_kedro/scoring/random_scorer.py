"""The control that any scorer must beat: a choice at random."""

from __future__ import annotations

import hashlib

from ilf_kedro.schemas import DataFrame, Refinements, Scores
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.tables import score_table

SCORER = "random"


@scorer(SCORER, takes=("params:seed",))
def random_scores(refinements: DataFrame[Refinements], seed: int) -> DataFrame[Scores]:
    """Score each refinement uniformly in [0, 1), as a function of the seed and the row's keys alone.

    So neither the order of the rows nor other examples change a choice.
    """
    keys = zip(refinements["example_id"], refinements["method"], refinements["sample_index"], strict=True)
    return score_table(refinements, SCORER, [_uniform(seed, *key) for key in keys])


def _uniform(seed: int, example_id: str, method: str, sample_index: int) -> float:
    digest = hashlib.sha256(f"{seed}\0{example_id}\0{method}\0{sample_index}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
