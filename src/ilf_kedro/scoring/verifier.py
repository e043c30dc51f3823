"""A verifier: a Python function, named in the parameters, that gives each refinement a number.

It runs in a process of its own; verifier_process.py says what that protects from, and what not.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import repeat

from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores, UserError, plain_value
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.tables import score_table
from ilf_kedro.scoring.verifier_process import Outcome, VerifierOptions, VerifierProcess
from ilf_kedro.tasks import Task, fields_of
from ilf_kedro.verifiers import Row

__all__ = [
    "SCORER",
    "VerifierOptions",
    "check_verifier",
    "describe_failures",
    "verifier_scores",
    "verify",
    "verify_texts",
]

logger = logging.getLogger(__name__)

SCORER = "verifier"


@scorer(SCORER)
def verifier_scores(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    options: VerifierOptions,
    task: Task | None = None,
    *,
    is_target: bool = False,
    shown_feedback: Sequence[str | None] | None = None,
) -> DataFrame[Scores]:
    """Score each refinement by the verifier; higher is better, and True counts 1. See verify_texts.

    `shown_feedback` is the feedback that the refiner was shown, per refinement: the verifier sees it in place of the
    example's own, so that a control's choice knows no more of a person's words than its refiner did.

    Raises:
        UserError: there is no such function, or it does not take a row and the arguments; or the verifier chooses what
            is learnt (`is_target`) and gave no score at all.
    """
    texts = zip(refinements["example_id"], refinements["text"], refinements["raw_text"], strict=True)
    scores = verify_texts(options, examples, texts, task, is_target=is_target, shown_feedback=shown_feedback)
    return score_table(refinements, SCORER, scores)


def verify_texts(
    options: VerifierOptions,
    examples: DataFrame[Examples],
    texts: Iterable[tuple[str, str, str]],
    task: Task | None = None,
    *,
    is_target: bool = False,
    shown_feedback: Sequence[str | None] | None = None,
) -> list[float | None]:
    """Return the verifier's score of each text, given as its example's id, the cleaned and the raw text.

    It sees the example's whole row: with a task its fields (tables.fields_of), else the table's columns. Where it
    raises, takes too long, needs too much memory, ends its process or returns no finite number, the score is null; how
    often each happened is logged once. Empty texts are not verified; their scores are null.

    Raises:
        UserError: see verifier_scores.
    """
    fields = {str(row["example_id"]): _fields(row, task) for row in examples.to_dict("records")}
    all_texts = list(texts)
    seen: Iterable[dict[str, object]] = repeat({})
    if shown_feedback is not None:
        seen = ({"feedback": feedback} for feedback in shown_feedback)
    rows = [
        Row(text, raw_text, {**fields[example_id], **other})
        for (example_id, text, raw_text), other in zip(all_texts, seen, strict=False)
        if text
    ]
    outcomes = verify(options, rows)
    if is_target and outcomes and all(outcome.score is None for outcome in outcomes):
        raise UserError(
            f"the verifier {options.callable} chooses what is learnt (selection.target_scorer), but gave none of "
            f"{len(outcomes)} texts a score: {describe_failures(outcomes)}. Mend it or its arguments "
            "(selection.verifier), or choose by another score."
        )
    found = iter(outcomes)
    return [next(found).score if text else None for _, text, _ in all_texts]


def check_verifier(options: VerifierOptions) -> None:
    """Start the verifier once, to see that it can be.

    Raises:
        UserError: there is no such function, or it does not take a row and the arguments.
    """
    with VerifierProcess(options) as worker:
        worker.start()


def _fields(example: Mapping[Hashable, object], task: Task | None) -> dict[str, object]:
    named = {str(name): value for name, value in example.items()}
    if task is None:
        return {name: plain_value(value) for name, value in named.items()}
    fields = fields_of(task, named)
    return {name: _as_json(value) for name, value in fields.items()}


def _as_json(value: object) -> object:
    """Return a conversation as dicts; everything else is what JSON can hold already."""
    return [asdict(each) for each in value] if isinstance(value, tuple) else value


def verify(options: VerifierOptions, rows: Sequence[Row]) -> list[Outcome]:
    """Return the verifier's outcome for each row; how many have no score, and why, is logged once.

    Raises:
        UserError: there is no such function, or it does not take a row and the arguments.
    """
    if not rows:
        return []
    with VerifierProcess(options) as worker:
        outcomes = [worker.score(row) for row in rows]
        if not worker.isolated:
            logger.warning(
                "the verifier %s ran without namespaces of its own, which this system does not allow: Python's sockets "
                "and signals were blocked, those of other programs that it may start were not",
                options.callable,
            )
    if reasons := describe_failures(outcomes):
        n_failed = sum(outcome.failure is not None for outcome in outcomes)
        logger.warning("the verifier %s gave no score for %d of %d: %s", options.callable, n_failed, len(rows), reasons)
    return outcomes


def describe_failures(outcomes: Sequence[Outcome]) -> str:
    """Say how many rows have no score for which reason, each with an example; empty where all have one."""
    failed = [outcome for outcome in outcomes if outcome.failure]
    counts = Counter(outcome.failure for outcome in failed)
    details = {outcome.failure: f" ({outcome.detail})" for outcome in reversed(failed) if outcome.detail}
    return ", ".join(f"{n} {failure}{details.get(failure, '')}" for failure, n in counts.most_common())
