"""Scorers from the log-probabilities of refinement, feedback and whole texts, as the paper's authors compared.

Every term is a mean token log-probability in nats (r refinement, f feedback, x input, y initial output), and
E is the mean of ln p(f given x, r) over the data set. What the authors minimise is negated here:

    log_probability_…                                           score
    refinement_given_feedback                                   r given x, y, f
    refinement_given_input                                       r given x
    feedback_given_refinement                                   −(f given x, r)
    feedback_near_expected                                      −abs(f given x, r − E)
    feedback_minus_refinement_given_feedback                    −(f given x, r − r given x, y, f)
    feedback_minus_refinement_given_input                        −(f given x, r − r given x)
    feedback_minus_refinement_given_feedback_near_expected      −abs(f given x, r − r given x, y, f − E)
    feedback_minus_refinement_given_input_near_expected          −abs(f given x, r − r given x − E)
    joint_refinement_last                                       x, y, f, r together
    joint_feedback_last                                         −(x, r, f together)
    joint_feedback_last_maximised                               x, r, f together
    words_refinement_last                                       f and r alone, in x, y, f, r
    words_feedback_last                                         −(r and f alone, in x, r, f)
    words_feedback_last_maximised                               r and f alone, in x, r, f

The authors minimise the joint of x, r, f and give no reason; so its other direction stands beside it. A
joint mean runs over every token but the text's first, and is mostly the input's; the last three leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ilf_kedro.language_models.protocol import Capability, LikelihoodModel, TokenLogProbabilities, require
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores
from ilf_kedro.scoring.log_probability_texts import (
    FEEDBACK_ORDER,
    REFINEMENT_ORDER,
    Span,
    check_order,
    mark,
    mean_log_probability,
)
from ilf_kedro.scoring.registry import scorer
from ilf_kedro.scoring.rows import PromptRow, rows_to_ask
from ilf_kedro.scoring.tables import score_table

__all__ = ["LOG_PROBABILITY_SCORERS", "LogProbabilityTerms", "log_probability_scores", "scores_from_terms"]

SCORER = "log_probability"
LOG_PROBABILITY_SCORERS = (
    "log_probability_refinement_given_feedback",
    "log_probability_refinement_given_input",
    "log_probability_feedback_given_refinement",
    "log_probability_feedback_near_expected",
    "log_probability_feedback_minus_refinement_given_feedback",
    "log_probability_feedback_minus_refinement_given_input",
    "log_probability_feedback_minus_refinement_given_feedback_near_expected",
    "log_probability_feedback_minus_refinement_given_input_near_expected",
    "log_probability_joint_refinement_last",
    "log_probability_joint_feedback_last",
    "log_probability_joint_feedback_last_maximised",
    "log_probability_words_refinement_last",
    "log_probability_words_feedback_last",
    "log_probability_words_feedback_last_maximised",
)

_DECIMALS = 10  # what differs by less is rounding: such scores are equal, and the earlier sample wins

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LogProbabilityTerms:
    """Mean token log-probabilities (nats) of each refinement, all of shape (n,); nan where undefined."""

    refinement_given_feedback: Values
    refinement_given_input: Values
    feedback_given_refinement: Values
    joint_refinement_last: Values
    joint_feedback_last: Values
    words_refinement_last: Values
    words_feedback_last: Values


@scorer(
    SCORER,
    scores=LOG_PROBABILITY_SCORERS,
    takes=("likelihood_model", "prompt.log_probability_refinement", "prompt.log_probability_feedback"),
    asks=Capability.LOG_LIKELIHOOD,
    needs=("initial_output", "feedback"),
)
def log_probability_scores(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    model: LikelihoodModel,
    refinement_template: PromptTemplate,
    feedback_template: PromptTemplate,
) -> DataFrame[Scores]:
    """Score each refinement by every scorer of LOG_PROBABILITY_SCORERS; those that are minimised are negated.

    E, the expected log p(f|x,r), is taken over all examples of a method, so that neither batches nor other
    methods change a score. Null are the scores of empty refinements, and of examples that lack the
    feedback or the initial output. Truncated inputs are counted in the model's statistics.

    Raises:
        MissingCapabilityError: the model cannot say how probable a text is.
        UserError: a template lacks a part, or has them in another order.
    """
    require(model, Capability.LOG_LIKELIHOOD, user=f"the scorer {SCORER}")
    check_order(refinement_template, REFINEMENT_ORDER, "log_probability_refinement")
    check_order(feedback_template, FEEDBACK_ORDER, "log_probability_feedback")
    rows, index = rows_to_ask(examples, refinements, "initial_output", "feedback")
    terms = _terms(model, refinement_template, feedback_template, rows)
    methods, ids = (refinements.loc[index, column].to_numpy() for column in ("method", "example_id"))
    values = pd.DataFrame(np.nan, index=refinements.index, columns=list(LOG_PROBABILITY_SCORERS))
    for method in dict.fromkeys(methods):
        own = methods == method
        of_method = LogProbabilityTerms(*(term[own] for term in astuple(terms)))
        values.loc[index[own]] = pd.DataFrame(scores_from_terms(of_method, ids[own]), index=index[own])
    tables = [score_table(refinements, scorer, list(values[scorer])) for scorer in LOG_PROBABILITY_SCORERS]
    return Scores.validate(pd.concat(tables, ignore_index=True))


def scores_from_terms(terms: LogProbabilityTerms, example_ids: Sequence[str]) -> dict[str, Values]:
    """Return the scores by scorer from the terms of a whole data set; example_ids[i] owns refinement i.

    The expected log-probability of feedback, E, is the mean over examples of the mean over the
    refinements for which it is defined.
    """
    refinement, refinement_alone = terms.refinement_given_feedback, terms.refinement_given_input
    feedback = terms.feedback_given_refinement
    expected = pd.Series(feedback).groupby(np.asarray(example_ids, dtype=object)).mean().mean()
    scores = (
        refinement,
        refinement_alone,
        -feedback,
        -np.abs(feedback - expected),
        -(feedback - refinement),
        -(feedback - refinement_alone),
        -np.abs(feedback - refinement - expected),
        -np.abs(feedback - refinement_alone - expected),
        terms.joint_refinement_last,
        -terms.joint_feedback_last,
        terms.joint_feedback_last,
        terms.words_refinement_last,
        -terms.words_feedback_last,
        terms.words_feedback_last,
    )
    return {scorer: np.round(score, _DECIMALS) for scorer, score in zip(LOG_PROBABILITY_SCORERS, scores, strict=True)}


def _terms(
    model: LikelihoodModel,
    refinement_template: PromptTemplate,
    feedback_template: PromptTemplate,
    rows: Sequence[PromptRow],
) -> LogProbabilityTerms:
    """Read each row's two texts in one request, so that a backend computes what any of them share once."""
    refining = [mark(refinement_template, row, ("feedback", "refinement")) for row in rows]
    commenting = [mark(feedback_template, row, ("refinement", "feedback")) for row in rows]
    texts = [text for pair in zip(refining, commenting, strict=True) for text in pair]
    answers = model.log_likelihood(
        [text.prompt for text in texts], [""] * len(texts), label="log-probability", include_prompt=True
    )
    refined = list(zip(refining, answers[::2], strict=True))
    commented = list(zip(commenting, answers[1::2], strict=True))
    return LogProbabilityTerms(
        refinement_given_feedback=_means((answer, [text.parts["refinement"]]) for text, answer in refined),
        refinement_given_input=_means((answer, [text.parts["refinement"]]) for text, answer in commented),
        feedback_given_refinement=_means((answer, [text.parts["feedback"]]) for text, answer in commented),
        joint_refinement_last=_means((answer, [text.whole]) for text, answer in refined),
        joint_feedback_last=_means((answer, [text.whole]) for text, answer in commented),
        words_refinement_last=_means((answer, list(text.parts.values())) for text, answer in refined),
        words_feedback_last=_means((answer, list(text.parts.values())) for text, answer in commented),
    )


def _means(texts: Iterable[tuple[TokenLogProbabilities, Sequence[Span]]]) -> Values:
    return np.array([mean_log_probability(answer, *spans) for answer, spans in texts], dtype=np.float64)
