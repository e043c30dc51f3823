"""How alike a refinement and its feedback are: the cosine of their embeddings.

Feedback that names what an output should say resembles a refinement that says it; so the most similar one
is chosen. The least similar is the control: it should do worse if the idea holds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ilf_kedro.language_models.protocol import Capability, Embedder, require
from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.rows import rows_to_ask
from ilf_kedro.scoring.tables import score_table

SCORER = "embedding_similarity"
MOST_SIMILAR = "embedding_similarity_max"
LEAST_SIMILAR = "embedding_similarity_min"
EMBEDDING_SIMILARITY_SCORERS = (MOST_SIMILAR, LEAST_SIMILAR)

_TEXTS = ("feedback", "refinement")


@scorer(
    SCORER,
    scores=EMBEDDING_SIMILARITY_SCORERS,
    takes=("embedder",),
    asks=Capability.EMBED,
    needs=("feedback",),
)
def embedding_similarity_scores(
    refinements: DataFrame[Refinements], examples: DataFrame[Examples], embedder: Embedder
) -> DataFrame[Scores]:
    """Score each refinement by the cosine of its embedding and the feedback's, in [-1, 1], and by its negative.

    Each distinct text is embedded once. Empty refinements, and examples without feedback, have null scores.

    Raises:
        MissingCapabilityError: the model cannot embed.
    """
    require(embedder, Capability.EMBED, user=f"the scorer {SCORER}")
    rows, index = rows_to_ask(examples, refinements, "feedback")
    texts = list(dict.fromkeys(row[text] for text in _TEXTS for row in rows))
    cosines = pd.Series(np.nan, index=refinements.index)
    if texts:
        vectors = embedder.embed(texts, label="embedding similarity").astype(np.float64)
        place = {text: number for number, text in enumerate(texts)}
        feedback, refinement = (vectors[[place[row[text]] for row in rows]] for text in _TEXTS)
        cosines[index] = (feedback * refinement).sum(axis=1)
    tables = [
        score_table(refinements, scorer, list(sign * cosines))
        for scorer, sign in ((MOST_SIMILAR, 1.0), (LEAST_SIMILAR, -1.0))
    ]
    return Scores.validate(pd.concat(tables, ignore_index=True))
