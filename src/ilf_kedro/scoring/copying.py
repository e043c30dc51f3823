"""The share of a refinement's words that stand in its inputs: what is copied is not invented."""

from __future__ import annotations

import re

from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores, text_or_empty
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.tables import score_table

SCORER = "copying"
_WORD = re.compile(r"\w+")


@scorer(SCORER)
def copying_scores(refinements: DataFrame[Refinements], examples: DataFrame[Examples]) -> DataFrame[Scores]:
    """Score each refinement by the share of its words, in whatever case, that an input has, in [0, 1]."""
    inputs = examples.set_index("example_id")[Examples.input_names(examples)].map(text_or_empty)
    known = {name: set(_words(" ".join(texts))) for name, *texts in inputs.itertuples(name=None)}
    scores = []
    for example_id, text in zip(refinements["example_id"], refinements["text"], strict=True):
        words = _words(text)
        scores.append(sum(word in known[example_id] for word in words) / len(words) if words else None)
    return score_table(refinements, SCORER, scores)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
