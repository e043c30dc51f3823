"""Targeted word removal: the probe's questions and answers, and the loop that learns from a hidden annotator."""

from __future__ import annotations

import pandera.pandas as pa
from pandera.typing import Series

from ilf_kedro.schemas.base import Table

ALL = 0
"""The value of `n_to_remove` that stands for all numbers together."""


class ProbeItems(Table):
    """Sentences, the feedback that names one to three of their words, and the right answer."""

    example_id: Series[str] = pa.Field(unique=True)
    sentence: Series[str]
    feedback: Series[str]
    n_words: Series[int] = pa.Field(ge=1, le=10)
    n_to_remove: Series[int] = pa.Field(ge=1, le=3)
    answer: Series[str]


class Objections(Table):
    """The hidden annotator's mind: every word of the vocabulary, and whether it is objected to."""

    word: Series[str] = pa.Field(unique=True)
    objected: Series[bool]


class WrittenExamples(Table):
    """Refinements written by other annotators; where `feedback` is null the refinement model does not see it."""

    example_id: Series[str] = pa.Field(unique=True)
    sentence: Series[str]
    feedback: Series[str] = pa.Field(nullable=True)
    refinement: Series[str]


class Notes(Table):
    """Notes to pass on, by what they are for: learned from in the first or the second round, or tested on.

    Demonstrations are by somebody who objects to nothing; they show how notes are passed on.
    """

    example_id: Series[str] = pa.Field(unique=True)
    part: Series[str] = pa.Field(isin=["demonstration", "first_round", "second_round", "test"])
    text: Series[str] = pa.Field(unique=True)


class NoteAnswers(Table):
    """What only the judge knows: each note as the hidden annotator wants it, and how many words that removes."""

    example_id: Series[str] = pa.Field(unique=True)
    n_words: Series[int] = pa.Field(ge=1, le=10)
    n_to_remove: Series[int] = pa.Field(ge=1, le=3)
    answer: Series[str]


class NoteTargets(Table):
    """What an arm finetunes on: each note, and how it is to be passed on."""

    example_id: Series[str] = pa.Field(unique=True)
    text: Series[str]
    target: Series[str]


class Answers(Table):
    """What a model wrote for each example."""

    example_id: Series[str]
    model: Series[str]
    text: Series[str]

    class Config:
        unique = ["example_id", "model"]


class ExactMatches(Table):
    """Share of exactly right answers by number of words to remove (0: all together).

    With its standard error (n - 1) and Wilson interval.
    """

    model: Series[str]
    n_to_remove: Series[int] = pa.Field(ge=0, le=3)
    n: Series[int] = pa.Field(ge=1)
    exact_match: Series[float] = pa.Field(ge=0, le=1)
    standard_error: Series[float] = pa.Field(nullable=True)
    lower: Series[float]
    upper: Series[float]

    class Config:
        unique = ["model", "n_to_remove"]


class Joints(Table):
    """How well each joint of the loop does its own part, measured alone: a share with its interval.

    Shares of several refinements of one note have an interval over notes.
    """

    joint: Series[str] = pa.Field(unique=True)
    n: Series[int] = pa.Field(ge=0)
    share: Series[float] = pa.Field(nullable=True)
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)


class PairedDifferences(Table):
    """Exact match of a model less that of a baseline, paired by test note, with a bootstrap interval."""

    model: Series[str]
    baseline: Series[str]
    n: Series[int]
    difference: Series[float]
    lower: Series[float] = pa.Field(nullable=True)
    upper: Series[float] = pa.Field(nullable=True)
    note: Series[str] = pa.Field(nullable=True)

    class Config:
        unique = ["model", "baseline"]
