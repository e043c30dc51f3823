"""A scorer of your own, outside the project: put it into any file, import the file, and name it.

Inside the project the same function is a file in `src/ilf_kedro/scoring/`, and `selection.scorers` takes its name.
"""

from __future__ import annotations

from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores
from ilf_kedro.scoring import scorer, scorers, select_best
from ilf_kedro.scoring.tables import score_table


@scorer("answers_the_question", needs=("feedback",))
def ends_like_a_question(refinements: DataFrame[Refinements], examples: DataFrame[Examples]) -> DataFrame[Scores]:
    """Score 1 where the refinement asks a question exactly where its feedback speaks of one, else 0."""
    wanted = examples.set_index("example_id")["feedback"].str.contains("question", case=False)
    pairs = zip(refinements["example_id"], refinements["text"], strict=True)
    scores = [float(text.endswith("?") == wanted[example_id]) for example_id, text in pairs]
    return score_table(refinements, "answers_the_question", scores)


def best(refinements: DataFrame[Refinements], examples: DataFrame[Examples]) -> list[str]:
    """Return the refinement of each example that the registered scorer prefers."""
    scores = scorers()["answers_the_question"].function(refinements, examples)
    return list(select_best(scores, refinements)["text"])
