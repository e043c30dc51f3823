"""The tournament's part of the report: a sentence, a forest plot, a table, and what to make of them."""

from __future__ import annotations

from ilf_kedro.evaluation.contests import POWER
from ilf_kedro.evaluation.recommendation import Recommendation, recommend
from ilf_kedro.evaluation.tournament import WIN_RATE
from ilf_kedro.pipelines.tournament.figure import forest_plot
from ilf_kedro.pipelines.tournament.score_labels import NOTATION, label
from ilf_kedro.pipelines.tournament.tables import detail_table, published_table, standings_table
from ilf_kedro.pipelines.tournament.verdict import recommendation_sentence
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

_FEW = 30  # examples below which bootstrap intervals are known to be too narrow


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
            Paragraph(recommendation_sentence(found, float(win_rates[found.leader])), lead=True),
            Paragraph(_whose(ranked)),
            *([Paragraph(_caution(found))] if found.n < _FEW else []),
            Figure("forest", forest_plot(metrics, confidence), _figure_caption(confidence)),
            Table(
                standings_table(metrics, contests, costs, found),
                _standings_caption(found, costs),
                column_digits={"More rankings": 0, "CPU-seconds": 1, "Tokens": 0, "Undefined": 0},
            ),
            Heading("Every figure with its error"),
            Table(detail_table(metrics), _detail_caption(confidence)),
            Heading("The paper's scorers on its development set"),
            Table(published_table(published, metrics), _published_caption(ranked)),
        ),
    )


def _whose(ranked: DataFrame[RankedCandidates]) -> str:
    rankers = sorted(ranked["ranked_by"].unique())
    people = [name for name in rankers if name.startswith("human:")]
    judges = [name.removeprefix("judge:") for name in rankers if name.startswith("judge:")]
    n = ranked["example_id"].nunique()
    candidates = ranked[~ranked["is_initial_output"]].groupby(["example_id", "ranked_by"]).size()
    few, many = candidates.min(), candidates.max()
    size = f"{few}" if few == many else f"{few} to {many}"
    initial = ranked.loc[ranked["is_initial_output"], "example_id"].nunique()
    text = f"{n} development examples with {size} candidate refinements each"
    text += f" and, in {initial}, the initial output were ranked" if initial else " were ranked"
    who = []
    if people:
        who.append(f"{len(people)} {'person' if len(people) == 1 else 'people'}")
    if judges:
        models = "a language model" if len(judges) == 1 else f"{len(judges)} language models"
        who.append(f"{models} ({', '.join(judges)})")
    text += f" by {' and '.join(who)}. Every scorer scored the same candidates without seeing the ranks."
    if judges:
        text += (
            " A language model's ranking is one model's taste and not a measure of quality: a scorer that agrees with "
            "it need not agree with people."
        )
    return text


def _caution(found: Recommendation) -> str:
    return (
        f"{found.n} examples are few: intervals from so small a bootstrap are too narrow, and a difference must "
        "be very large to show at all. Take the figures as a demonstration, and rank more examples before trusting a "
        "scorer."
    )


def _figure_caption(confidence: float) -> str:
    return (
        f"Win rate of each scorer's choice over a refinement drawn at random, in expectation, with {confidence:.0%} "
        "bootstrap intervals over the same resampled examples (BCa). At equal length: the prediction of a logistic "
        "model at a length difference of 0 tokens, with an interval clustered by example; where the diamond is missing "
        f"it cannot be estimated. {NOTATION}"
    )


def _standings_caption(found: Recommendation, costs: DataFrame[ScorerCosts]) -> str:
    text = (
        "Win rate over a random refinement ± standard error, and at equal length; pairwise accuracy; Kendall's τ-b "
        "with the ranking; Spearman's ρ of score and length in tokens; all means over examples. p: sign-flip test "
        f"against “{label(found.leader)}”, step-down corrected for all pairs of scorers. More rankings: how many would "
        f"show the difference from it with a power of {POWER:.0%} (normal approximation, Bonferroni; a lower bound: "
        "a leader is picked for a difference that looks large). Scores that one node computes share its cost; loading "
        "a model's weights is included. Undefined: null scores."
    )
    unknown = costs.dropna(subset=["note"])
    unknown = unknown[unknown["cpu_seconds"].isna()].drop_duplicates("made_by")
    if len(unknown):
        reasons = "; ".join(f"{label(str(row.made_by))}: {row.note}" for row in unknown.itertuples())
        text += f" No cost is known of these, which does not make them free: {reasons}."
    return text


def _detail_caption(confidence: float) -> str:
    return (
        f"Value ± standard error (n − 1), then the {confidence:.0%} interval. The win rate over the initial "
        "output counts where it was ranked. At equal length, a pairwise accuracy of a stands for a rank "
        "correlation of 2a − 1 among texts of one length. A dash: it cannot be estimated, for the reason in the "
        "last column."
    )


def _published_caption(ranked: DataFrame[RankedCandidates]) -> str:
    n = ranked["example_id"].nunique()
    return (
        "Win rate over a random refinement. The paper's: SLF5K's development set (n = 200), people's rankings, GPT-3 "
        f"175B; ours: n = {n}, other inputs, candidates, rankers and models. They are not one experiment: compare the "
        "order and the errors, not the values."
    )
