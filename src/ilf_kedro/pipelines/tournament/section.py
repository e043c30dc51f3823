"""The tournament's part of the report: a sentence, a forest plot, a table, and what to make of them."""

from __future__ import annotations

from ilf_kedro.evaluation.contests import POWER
from ilf_kedro.evaluation.recommendation import Recommendation, recommend
from ilf_kedro.evaluation.tournament import WIN_RATE
from ilf_kedro.pipelines.tournament.figure import forest_plot
from ilf_kedro.pipelines.tournament.score_labels import NOTATION, label
from ilf_kedro.pipelines.tournament.tables import detail_table, published_table, standings_table
from ilf_kedro.pipelines.tournament.verdict import recommendation_sentence
from ilf_kedro.report.prose import Prose
from ilf_kedro.report.sections import Figure, Heading, Paragraph, Section, Table
from ilf_kedro.schemas import (
    DataFrame,
    PublishedResults,
    RankedCandidates,
    ScorerContests,
    ScorerCosts,
    ScorerMetrics,
)

__all__ = ["tournament_section"]

_PROSE = Prose(__package__)
_FEW = 30


def tournament_section(
    ranked: DataFrame[RankedCandidates],
    metrics: DataFrame[ScorerMetrics],
    contests: DataFrame[ScorerContests],
    costs: DataFrame[ScorerCosts],
    published: DataFrame[PublishedResults],
    *,
    confidence: float,
) -> Section:
    """Describe a tournament: whose rankings, which scorer to trust, how sure that is, and at what cost."""
    found = recommend(contests, confidence=confidence)
    win_rates = metrics[metrics["metric"] == WIN_RATE].set_index("scorer")["value"]
    return Section(
        "tournament",
        "Which scorer to trust",
        (
            Paragraph(_lead(ranked, found, float(win_rates[found.leader])), lead=True),
            Paragraph(_whose(ranked)),
            *([Paragraph(_PROSE.few(found.n))] if found.n < _FEW else []),
            Figure(
                "forest",
                forest_plot(metrics, confidence),
                _PROSE.forest(confidence, NOTATION),
                sources=("tournament.metrics",),
            ),
            Table(
                standings_table(metrics, contests, costs, found),
                _PROSE.standings(label(found.leader), POWER, _unknown_costs(costs)),
                sources=("tournament.metrics", "tournament.contests", "tournament.costs"),
                column_digits={"More rankings": 0, "CPU-seconds": 1, "Tokens": 0, "Undefined": 0},
            ),
            Heading("Every figure with its error"),
            Table(detail_table(metrics), _PROSE.details(confidence), sources=("tournament.metrics",)),
            Heading("The paper's scorers on its development set"),
            Table(
                published_table(published, metrics),
                _PROSE.published(ranked["example_id"].nunique()),
                sources=("published_results", "tournament.metrics"),
            ),
        ),
    )


def _lead(ranked: DataFrame[RankedCandidates], found: Recommendation, win_rate: float) -> str:
    """Say which scorer to trust; where the rankings tie everything, that they are no rankings."""
    different = ranked.groupby(["example_id", "ranked_by"])["rank"].nunique()
    return _PROSE.all_tied(found.n) if different.max() == 1 else recommendation_sentence(found, win_rate)


def _whose(ranked: DataFrame[RankedCandidates]) -> str:
    rankers = sorted(ranked["ranked_by"].unique())
    candidates = ranked[~ranked["is_initial_output"]].groupby(["example_id", "ranked_by"]).size()
    return _PROSE.whose(
        n=ranked["example_id"].nunique(),
        fewest=candidates.min(),
        most=candidates.max(),
        n_initial=ranked.loc[ranked["is_initial_output"], "example_id"].nunique(),
        n_people=sum(name.startswith("human:") for name in rankers),
        judges=[name.removeprefix("judge:") for name in rankers if name.startswith("judge:")],
    )


def _unknown_costs(costs: DataFrame[ScorerCosts]) -> dict[str, str]:
    unknown = costs.dropna(subset=["note"])
    unknown = unknown[unknown["cpu_seconds"].isna()].drop_duplicates("made_by")
    return {label(str(row.made_by)): str(row.note) for row in unknown.itertuples()}
