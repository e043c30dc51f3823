"""Thin nodes: read or make rankings, measure the scorers against them, and say what was found."""

from __future__ import annotations

import logging

import pandas as pd

from ilf_kedro.evaluation.contests import contests
from ilf_kedro.evaluation.judge_rankings import judge_ranks
from ilf_kedro.evaluation.tournament import WIN_RATE, example_values, rankings_of, scorer_metrics
from ilf_kedro.language_models.protocol import Capability, LanguageModel, TokenCounter
from ilf_kedro.pipelines.refinement.nodes import refine
from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.pipelines.requirements import asks, require_texts
from ilf_kedro.pipelines.tournament.candidates import (
    candidates_of,
    first_examples,
    judged_candidates,
    rankable_texts,
    refinements_of,
)
from ilf_kedro.pipelines.tournament.costs import scorer_costs
from ilf_kedro.pipelines.tournament.options import TournamentOptions
from ilf_kedro.pipelines.tournament.ranked_lines import read_rankings
from ilf_kedro.pipelines.tournament.section import tournament_section
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import Section
from ilf_kedro.schemas import (
    DataFrame,
    Examples,
    PublishedResults,
    RankedCandidates,
    RawRows,
    Refinements,
    ScorerContests,
    ScorerCosts,
    ScorerMetrics,
    Scores,
    Subsets,
)
from ilf_kedro.schemas.names import WITH_FEEDBACK
from ilf_kedro.schemas.run_record import RunRecord

logger = logging.getLogger(__name__)

NAMESPACE = "tournament"

Ranked = tuple[DataFrame[RankedCandidates], DataFrame[Refinements]]


def read_ranked(
    raw: RawRows, development: DataFrame[Examples], base_model: TokenCounter, options: TournamentOptions
) -> Ranked:
    """Read rankings from a file: the first `n_examples` ranked ones, and their candidates as refinements.

    Raises:
        InvalidDataError: it lists every fault of the file.
    """
    rankings = read_rankings(raw, development)
    wanted = first_examples(development, set(rankings["example_id"]), options.n_examples)
    ranked = candidates_of(rankings[rankings["example_id"].isin(wanted)].reset_index(drop=True), base_model)
    rankers = ", ".join(sorted(ranked["ranked_by"].unique()))
    logger.info("tournament: %d ranked examples, by %s", ranked["example_id"].nunique(), rankers)
    return ranked, refinements_of(ranked)


@asks("the pipeline tournament (rankings: judge)", refiner=Capability.GENERATE)
def sample_candidates(
    development: DataFrame[Examples],
    refiner: LanguageModel,
    template: PromptTemplate,
    refinement: RefinementOptions,
    options: TournamentOptions,
    seed: int,
) -> DataFrame[Refinements]:
    """Sample refinements of the first `n_examples` development examples, as the pipeline refinement does."""
    wanted = first_examples(development, set(development["example_id"]), options.n_examples)
    subset = Subsets.validate(pd.DataFrame({"train_size": len(wanted), "example_id": wanted}))
    return refine(development, subset, refiner, template, refinement, seed, method=WITH_FEEDBACK)


@asks("the judge of rankings", judge=Capability.CHOICE_PROBABILITIES)
def rank_by_judge(
    sampled: DataFrame[Refinements],
    development: DataFrame[Examples],
    judge: LanguageModel,
    template: PromptTemplate,
    base_model: TokenCounter,
) -> Ranked:
    """Have a language model rank the sampled refinements and the initial output, every two in both orders."""
    asked = development[development["example_id"].isin(sampled["example_id"])]
    require_texts(asked, ["initial_output"], user="the pipeline tournament (rankings: judge)")
    texts = rankable_texts(sampled, development)
    logger.info("tournament: %s ranks the refinements of %d examples", judge.name, len(texts))
    rows = development.set_index("example_id", drop=False).loc[list(texts)]
    ranked = candidates_of(
        judged_candidates(texts, judge_ranks(judge, template, rows, list(texts.values())), judge.name), base_model
    )
    return ranked, refinements_of(ranked)


def measure_scorers(
    ranked: DataFrame[RankedCandidates], scores: DataFrame[Scores], options: ReportingOptions, seed: int
) -> tuple[DataFrame[ScorerMetrics], DataFrame[ScorerContests]]:
    """Measure every scorer against the rankings, and test every two of them against each other."""
    bootstrap = options.bootstrap(seed)
    wins = example_values(*rankings_of(ranked, scores))[WIN_RATE]
    return scorer_metrics(ranked, scores, bootstrap), contests(wins, bootstrap)


def measure_costs(run: RunRecord, **tables: DataFrame[Scores]) -> DataFrame[ScorerCosts]:
    """Take what each scorer cost from the record of this run; `tables` are the scores by who made them."""
    return scorer_costs(run, tables, NAMESPACE)


def describe_tournament(
    ranked: DataFrame[RankedCandidates],
    metrics: DataFrame[ScorerMetrics],
    found: DataFrame[ScorerContests],
    costs: DataFrame[ScorerCosts],
    published: DataFrame[PublishedResults],
    options: ReportingOptions,
) -> Section:
    """Say which scorer to trust, if any, with a forest plot, a table, and the paper's figures beside."""
    return tournament_section(ranked, metrics, found, costs, published, confidence=options.confidence)
