"""Feedback makes several points: which of them does a refinement incorporate?

A whole-feedback score cannot tell a refinement that follows half of the feedback from one that half follows it.
So the feedback is split into its points, by rules or by a language model, and each is asked about by itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from ilf_kedro.language_models.protocol import Capability, Choice, LanguageModel, SamplingOptions, require
from ilf_kedro.prompting import PromptTemplate, fill, prompts_of, split_sentences
from ilf_kedro.schemas import DataFrame, Examples, FeedbackPoints, PointScores, Refinements, text_or_empty
from ilf_kedro.scoring.rows import rows_to_ask

__all__ = ["list_points", "point_scores", "split_feedback", "split_points"]

logger = logging.getLogger(__name__)

# What begins a clause that makes a point of its own: a request, or a subject with its verb to follow. "The cat
# and the dog" is one point, "say that the cat left and ask where" are two.
_CLAUSE = (
    r"(?:also|then|please|just|that|whether|why|how|what|when|who|if|should|it|its|it's|this|there|they|he|she|we|you|I|"
    r"the\s+(?:summary|output|answer|program|question|problem|ending|post|author|title|happy)|"
    r"add|ask|asks|asking|explain|give|include|leave|leaves|leaving|mention|name|note|omit|put|remove|drop|say|says|"
    r"saying|state|tell|use|write|make|keep|call|nor)"
)
_CONJUNCTION = re.compile(
    rf"(?<!\bthat)(?:\s*;\s+(?:(?:and|but)\s+)?|\s*,?\s+(?:and|but)\s+)(?={_CLAUSE}\b)|\s*;\s+", re.IGNORECASE
)
_LEAST_WORDS = 3  # of both sides; what is shorter stays with its neighbour
_LISTED = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+(?P<point>\S.*?)\s*$", re.MULTILINE)
_LISTING = SamplingOptions(temperature=0.0, max_new_tokens=128)


def split_points(feedback: str) -> list[str]:
    """Split feedback into its points: at line ends, sentences, semicolons, and at "and" or "but" before a clause.

    The conjunctions at which it is split are left out; every other word stays, in its order. Blanks are folded.
    Feedback without words has no points.
    """
    points = []
    for line in feedback.splitlines():
        for sentence in split_sentences(line):
            points += _split_clauses(" ".join(sentence.split()))
    return [point for point in points if any(character.isalnum() for character in point)]


def split_feedback(examples: DataFrame[Examples]) -> DataFrame[FeedbackPoints]:
    """Split the feedback of every example by rules."""
    points = {row["example_id"]: split_points(text_or_empty(row["feedback"])) for _, row in examples.iterrows()}
    return _point_table(points, "rules")


def list_points(
    model: LanguageModel, template: PromptTemplate, examples: DataFrame[Examples], *, seed: int
) -> DataFrame[FeedbackPoints]:
    """Let a language model list the points of every example's feedback, one a line after a dash or a number.

    Where it lists none, the feedback is split by rules, which the column `split_by` tells, and the log.

    Raises:
        MissingCapabilityError: the model cannot write.
    """
    require(model, Capability.GENERATE, user="the list of the feedback's points")
    prompts = prompts_of(examples, template)
    drawn = model.generate(prompts, range(1), _LISTING, seed=seed, label="points of feedback")
    listed = {
        prompt.example_id: [match["point"] for match in _LISTED.finditer(draws[0].text)]
        for prompt, draws in zip(prompts, drawn, strict=True)
    }
    silent = examples[[not listed[example_id] for example_id in examples["example_id"]]]
    if len(silent):
        logger.warning(
            "%s listed no points for %d of %d examples: their feedback is split by rules",
            model.name,
            len(silent),
            len(examples),
        )
    tables = [_point_table(listed, f"model:{model.name}"), *([split_feedback(silent)] if len(silent) else [])]
    return FeedbackPoints.validate(pd.concat(tables, ignore_index=True))


def point_scores(
    model: LanguageModel,
    template: PromptTemplate,
    examples: DataFrame[Examples],
    points: DataFrame[FeedbackPoints],
    refinements: DataFrame[Refinements],
) -> DataFrame[PointScores]:
    """Ask of every refinement and every point of its example's feedback whether it does what the point asks for.

    The score is p₊ / (p₊ + p₋) of the template's two answers, in [0, 1]. It is null where the refinement is empty
    or the request was refused.

    Raises:
        MissingCapabilityError: the model cannot say how probable an answer is.
    """
    require(model, Capability.CHOICE_PROBABILITIES, user="the points of the feedback")
    pairs = refinements[["example_id", "method", "sample_index", "text"]].merge(points, on="example_id", how="inner")
    rows, index = rows_to_ask(examples, pairs)
    choices = (Choice("positive", template.positive), Choice("negative", template.negative))
    prompts = [
        fill(template, {**row, "point": point}) for row, point in zip(rows, pairs.loc[index, "point"], strict=True)
    ]
    replies = model.choice_probabilities(prompts, choices, label="points of feedback")
    asked = [reply.probability(0) for reply in replies]
    scores = pd.Series(asked, index=index, dtype="float64").reindex(pairs.index)
    return PointScores.validate(pairs[["example_id", "method", "sample_index", "point_index"]].assign(score=scores))


def _split_clauses(sentence: str) -> list[str]:
    """Split a sentence where both sides are long enough to be points."""
    parts: list[str] = []
    start = 0
    for match in _CONJUNCTION.finditer(sentence):
        before, after = sentence[start : match.start()], sentence[match.end() :]
        if min(len(before.split()), len(after.split())) >= _LEAST_WORDS:
            parts.append(before)
            start = match.end()
    return [*parts, sentence[start:]]


def _point_table(points: Mapping[str, Sequence[str]], split_by: str) -> DataFrame[FeedbackPoints]:
    rows = [
        (example_id, place, point, split_by)
        for example_id, texts in points.items()
        for place, point in enumerate(texts)
    ]
    return FeedbackPoints.validate(pd.DataFrame(rows, columns=["example_id", "point_index", "point", "split_by"]))
