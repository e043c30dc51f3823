"""One node per scorer; then one table of scores, and one of choices."""

from __future__ import annotations

import pandas as pd

from ilf_kedro.language_models.protocol import LanguageModel, TokenCounter
from ilf_kedro.pipelines.requirements import require_texts
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import DataFrame, Examples, Refinements, Scores, Selections
from ilf_kedro.scoring import instruct_rm_scores, longest_scores, random_scores, select_best


def collect_refinements(*refinement_sets: DataFrame[Refinements]) -> DataFrame[Refinements]:
    """Put the refinement sets of all methods into one table, in the order given."""
    return Refinements.validate(pd.concat(refinement_sets, ignore_index=True))


def score_random(refinements: DataFrame[Refinements], seed: int) -> DataFrame[Scores]:
    """Score at random, reproducibly."""
    return random_scores(refinements, seed)


def score_longest(refinements: DataFrame[Refinements], base_model: TokenCounter) -> DataFrame[Scores]:
    """Score by length in the tokens of the model that will be finetuned."""
    return longest_scores(refinements, base_model)


def score_instruct_rm(
    refinements: DataFrame[Refinements],
    examples: DataFrame[Examples],
    instruct_rm: LanguageModel,
    *templates: PromptTemplate,
) -> DataFrame[Scores]:
    """Score by asking a language model in five ways whether the feedback was incorporated."""
    asked = examples[examples["example_id"].isin(refinements["example_id"])]
    require_texts(asked, ["initial_summary", "feedback"], user="the scorer InstructRM")
    return instruct_rm_scores(instruct_rm, templates, examples, refinements)


def collect_scores(*tables: DataFrame[Scores]) -> DataFrame[Scores]:
    """Put the scores of all scorers into one tidy table."""
    return Scores.validate(pd.concat(tables, ignore_index=True))


def select_refinements(scores: DataFrame[Scores], refinements: DataFrame[Refinements]) -> DataFrame[Selections]:
    """Let each scorer choose one refinement per example and method."""
    return select_best(scores, refinements)
