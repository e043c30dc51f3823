"""A verifier: a Python function, named in the parameters, that gives each refinement a number.

It runs in a process of its own; verifier_process.py says what that protects from, and what not.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores, text_or_empty
from ilf_kedro.scoring.tables import score_table
from ilf_kedro.scoring.verifier_process import Outcome, VerifierOptions, VerifierProcess
from ilf_kedro.verifiers import Row

__all__ = ["SCORER", "VerifierOptions", "check_verifier", "verifier_scores"]

logger = logging.getLogger(__name__)

SCORER = "verifier"


def verifier_scores(
    options: VerifierOptions, examples: DataFrame[Examples], refinements: DataFrame[Refinements]
) -> DataFrame[Scores]:
    """Score each refinement by the verifier; higher is better, and True counts 1.

    Where it raises, takes too long, needs too much memory, ends its process or returns no finite number, the score
    is null; how often each happened is logged once. Empty refinements are not verified; their scores are null.

    Raises:
        UserError: there is no such function, or it does not take a row and the arguments.
    """
    by_id = {str(row["example_id"]): row for _, row in examples.iterrows()}
    texts = list(zip(refinements["example_id"], refinements["text"], strict=True))
    rows = [_row(by_id[example_id], text) for example_id, text in texts if text]
    outcomes = iter(_verify(options, rows))
    scores = [next(outcomes).score if text else None for _, text in texts]
    return score_table(refinements, SCORER, scores)


def check_verifier(options: VerifierOptions) -> None:
    """Start the verifier once, to see that it can be.

    Raises:
        UserError: there is no such function, or it does not take a row and the arguments.
    """
    with VerifierProcess(options) as worker:
        worker.start()


def _row(example: pd.Series, refinement: str) -> Row:
    texts = {name: text_or_empty(example[name]) for name in ("title", "post", "initial_output", "feedback")}
    return Row(example_id=str(example["example_id"]), refinement=refinement, **texts)


def _verify(options: VerifierOptions, rows: Sequence[Row]) -> list[Outcome]:
    if not rows:
        return []
    with VerifierProcess(options) as worker:
        outcomes = [worker.score(row) for row in rows]
        if not worker.isolated:
            logger.warning(
                "the verifier %s ran without a network namespace, which this system does not allow: Python's sockets "
                "were blocked, those of other programs that it may start were not",
                options.callable,
            )
    failed = [outcome for outcome in outcomes if outcome.failure]
    if failed:
        counts = Counter(outcome.failure for outcome in failed)
        details = {outcome.failure: f" ({outcome.detail})" for outcome in reversed(failed) if outcome.detail}
        logger.warning(
            "the verifier %s gave no score for %d of %d refinements: %s",
            options.callable,
            len(failed),
            len(rows),
            ", ".join(f"{n} {failure}{details.get(failure, '')}" for failure, n in counts.most_common()),
        )
    return outcomes
