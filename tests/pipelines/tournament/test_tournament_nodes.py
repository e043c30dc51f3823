"""The nodes between rankings and report, on the embedded rankings and on a judge of a few lines."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ilf_kedro.language_models.protocol import Capability, ChoiceProbabilities
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.pipelines.tournament import create_pipeline, nodes
from ilf_kedro.pipelines.tournament.options import TournamentOptions
from ilf_kedro.pipelines.tournament.section import _whose
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.report.options import ReportingOptions
from ilf_kedro.report.sections import Figure, Paragraph, Section, Table, render_page
from ilf_kedro.schemas import RawRows, ScorerCosts, UserError
from ilf_kedro.scoring import longest_scores
from ilf_kedro.scoring.ensemble import EnsembleOptions
from ilf_kedro.tasks.reading import read_bytes
from tests.support import example_tables
from tests.support.ranked_tables import ranked, simulated
from tests.support.raw_rows import mapped

FOLDER = Path(__file__).parents[3] / "data" / "01_raw"
PUBLISHED = pd.read_csv(FOLDER / "published_results.csv")
OPTIONS = ReportingOptions(bootstrap_resamples=100)
JUDGE_PROMPT = PromptTemplate(
    text="{{ title }}|{{ post }}|{{ output_a }}|{{ output_b }}|",
    positive=("A",),
    negative=("B",),
)


class WordCounter:
    def count_tokens(self, texts: list[str]) -> list[int]:
        return [len(text.split()) for text in texts]


class LongerIsBetter:
    """A judge that prefers the longer output in both orders."""

    name, revision, capabilities = "judge-of-length", "0", frozenset({Capability.CHOICE_PROBABILITIES})

    def choice_probabilities(self, prompts, choices, *, label=""):  # type: ignore[no-untyped-def]
        longer = [len(one) - len(other) for one, other in (prompt.text.split("|")[2:4] for prompt in prompts)]
        p = [0.5 + 0.4 * math.tanh(each) for each in longer]
        return [ChoiceProbabilities((math.log(each), math.log(1 - each))) for each in p]


@pytest.fixture(scope="module")
def raw() -> dict[str, RawRows]:
    sample = FOLDER / "slf5k_sample"
    return {file.stem: read_bytes(file.name, file.read_bytes()) for file in sample.glob("*.jsonl")}


@pytest.fixture(scope="module")
def development(raw: dict[str, RawRows]) -> pd.DataFrame:
    splits = [raw[split] for split in ("train", "development", "validation", "test")]
    return mapped(*splits, options=DataPrepOptions(on_invalid="stop"))[1]


@pytest.fixture(scope="module")
def embedded(raw: dict[str, RawRows], development: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return nodes.read_ranked(raw["development_rankings"], development, WordCounter(), TournamentOptions())


def section(n: int, strengths: dict[str, float], seed: int = 0, **costs: object) -> Section:
    rankings, scores = simulated(n, strengths, rng=np.random.default_rng(seed))
    metrics, contests = nodes.measure_scorers(rankings, scores, OPTIONS, 0)
    row = {"cpu_seconds": 1.5, "tokens": 100.0, "usd": None, "note": None, **costs}
    table = ScorerCosts.validate(pd.DataFrame([{"scorer": s, "made_by": s, **row} for s in strengths]))
    return nodes.describe_tournament(rankings, metrics, contests, table, PUBLISHED, OPTIONS)


def texts(found: Section) -> str:
    return "\n".join(part.text for part in found.parts if isinstance(part, Paragraph))


def test_the_embedded_rankings_are_a_models_and_of_different_merit(
    embedded: tuple[pd.DataFrame, pd.DataFrame], development: pd.DataFrame
) -> None:
    rankings, refinements = embedded
    assert set(rankings["example_id"]) == set(development["example_id"])
    assert set(rankings["ranked_by"]) == {"judge:sample-author"}
    own = rankings[~rankings["is_initial_output"]]
    assert (own.groupby("example_id").size() == 5).all()
    assert (rankings.groupby("example_id")["is_initial_output"].sum() == 1).all()
    assert (own.groupby("example_id")["rank"].nunique() >= 4).all()
    assert len(refinements) == 40
    assert rankings["rank"].groupby(rankings["example_id"]).min().eq(1).all()


def test_in_the_embedded_rankings_the_longest_is_sometimes_best_and_sometimes_worst(
    embedded: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    own = embedded[0][~embedded[0]["is_initial_output"]]
    longest = own.loc[own.groupby("example_id")["n_tokens"].idxmax()].set_index("example_id")["rank"]
    ranks = own.groupby("example_id")["rank"]
    assert 1 <= (longest == ranks.min()).sum() <= 4
    assert 1 <= (longest == ranks.max()).sum() <= 4
    first_listed = own.drop_duplicates("example_id")["rank"]
    assert first_listed.nunique() > 2  # the order in the file says nothing


def test_the_refinements_are_the_candidates_without_the_initial_output(
    embedded: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    rankings, refinements = embedded
    joined = refinements.merge(rankings, on=["example_id", "sample_index"], suffixes=("", "_ranked"))
    assert (joined["text"] == joined["text_ranked"]).all()
    assert not joined["is_initial_output"].any()
    counted = longest_scores(refinements, WordCounter())["score"]
    assert counted.tolist() == joined["n_tokens_ranked"].tolist()


def test_only_the_first_ranked_examples_count(raw: dict[str, RawRows], development: pd.DataFrame) -> None:
    backwards = replace(raw["development_rankings"], rows=raw["development_rankings"].rows[::-1])
    rankings, _ = nodes.read_ranked(backwards, development, WordCounter(), TournamentOptions(n_examples=3))
    assert set(rankings["example_id"]) == set(development["example_id"].head(3))


def test_a_judges_rankings_are_marked_as_its_own() -> None:
    development = example_tables.examples(2, "development", initial_output="a bb")
    sampled = example_tables.refinements(
        {"development-0": ["a", "a bb ccc", "", "a"], "development-1": ["x", "x"]}, "refinement_with_feedback"
    )
    rankings, refinements = nodes.rank_by_judge(sampled, development, LongerIsBetter(), JUDGE_PROMPT, WordCounter())
    # The second example has one different refinement, which cannot be ranked among refinements.
    assert rankings[["text", "rank", "is_initial_output"]].to_numpy().tolist() == [
        ["a bb", 2, True],
        ["a", 3, False],
        ["a bb ccc", 1, False],
    ]
    assert set(rankings["ranked_by"]) == {"judge:judge-of-length"}
    assert refinements["text"].tolist() == ["a", "a bb ccc"]


def test_a_judge_without_two_different_refinements_is_explained() -> None:
    development = example_tables.examples(1, "development")
    sampled = example_tables.refinements({"development-0": ["a", "a", ""]})
    with pytest.raises(UserError, match=r"raise refinement\.n_refinements"):
        nodes.rank_by_judge(sampled, development, LongerIsBetter(), JUDGE_PROMPT, WordCounter())


def test_a_clear_winner_is_recommended_in_the_first_sentence() -> None:
    found = section(60, {"random": 0.0, "longest": 0.0, "reward_model": 3.0})
    lead = found.parts[0]
    assert isinstance(lead, Paragraph)
    assert lead.lead
    assert lead.text.startswith("Choose by “reward model”: on 60 ranked examples")
    assert "few" not in texts(found)


def test_equal_scorers_are_not_recommended_and_the_effort_is_named() -> None:
    found = section(12, {"random": 0.0, "longest": 0.0, "reward_model": 0.0})
    lead = found.parts[0]
    assert isinstance(lead, Paragraph)
    assert lead.text.startswith("The data ")
    assert "Choose by" not in lead.text
    assert "12 examples are few" in texts(found)


def test_a_judges_taste_is_called_one() -> None:
    rankings, scores = simulated(10, {"random": 0.0, "longest": 0.0}, rng=np.random.default_rng(0))
    metrics, contests = nodes.measure_scorers(rankings, scores, OPTIONS, 0)
    cost = {"cpu_seconds": 1.0, "tokens": 0.0, "usd": None, "note": None}
    costs = ScorerCosts.validate(pd.DataFrame([{"scorer": s, "made_by": s, **cost} for s in ("random", "longest")]))
    by_judge = rankings.assign(ranked_by="judge:m")
    by_person, by_model = (
        texts(nodes.describe_tournament(each, metrics, contests, costs, PUBLISHED, OPTIONS))
        for each in (rankings, by_judge)
    )
    assert "by 1 person" in by_person
    assert "taste" not in by_person
    assert "by a language model (m)" in by_model
    assert "one model's taste" in by_model


def test_the_table_and_the_figure_have_every_scorer_the_best_first() -> None:
    strengths = {"random": 0.0, "longest": 0.2, "reward_model": 2.0, "classifier": 1.0}
    found = section(40, strengths)
    standings, detail = [part for part in found.parts if isinstance(part, Table)][:2]
    assert standings.frame["Scorer"].tolist()[:2] == ["reward model", "classifier"]
    assert set(standings.frame["Scorer"]) == set(detail.frame["Scorer"])
    assert len(standings.frame) == 4
    assert standings.frame["Win rate"].is_monotonic_decreasing
    assert math.isnan(standings.frame["p"].iloc[0])
    figure = next(part.figure for part in found.parts if isinstance(part, Figure))
    assert list(figure.layout.yaxis.categoryarray) == standings.frame["Scorer"].tolist()
    drawn = [label for trace in figure.data if trace.offsetgroup == "as it is" for label in trace.y]
    assert sorted(drawn) == sorted(standings.frame["Scorer"])


def test_an_unknown_cost_is_said_to_be_unknown() -> None:
    found = section(
        10, {"random": 0.0, "longest": 1.0}, cpu_seconds=None, tokens=None, note="7 of 9 answers came from the cache"
    )
    caption = next(part.caption for part in found.parts if isinstance(part, Table))
    assert "does not make them free" in caption
    assert "7 of 9 answers came from the cache" in caption


def test_the_page_holds_everything_and_loads_nothing() -> None:
    page = render_page("x", [section(10, {"random": 0.0, "longest": 1.0})])
    assert "Which scorer to trust" in page
    assert "0.650 ± 0.027" in page  # the paper's longest
    assert 'src="http' not in page


@pytest.mark.parametrize("rankings", ["file", "judge"])
def test_random_and_longest_always_compete(rankings: str) -> None:
    options = TournamentOptions(rankings=rankings, scorers=("classifier",))
    pipeline = create_pipeline(options)
    made = {name for name in pipeline.all_outputs() if name.startswith("tournament.scores.")}
    assert made == {f"tournament.scores.{scorer}" for scorer in ("random", "longest", "classifier")}
    assert ("raw.development_rankings" in pipeline.inputs()) == (rankings == "file")
    assert ("judge" in pipeline.inputs()) == (rankings == "judge")


def test_a_scorer_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="found classifier more often"):
        TournamentOptions(scorers=("classifier", "classifier"))


def test_rankings_by_several_people_are_counted() -> None:
    both = pd.concat([ranked({"a": [1, 2]}), ranked({"a": [1, 2]}, ranked_by="human:ben")])
    assert "by 2 people" in _whose(both)


def test_an_ensemble_competes_with_its_members_or_not_at_all() -> None:
    ensemble = EnsembleOptions(name="both", weights={"classifier": 1.0, "longest": -0.5})
    TournamentOptions(scorers=("classifier", "ensemble")).check_ensembles([ensemble])
    TournamentOptions(scorers=("instruct_rm",)).check_ensembles([ensemble])
    for scorers, ensembles, reason in (
        (("ensemble",), [ensemble], "no competing scorer gives classifier"),
        (("classifier", "ensemble"), [], r"selection\.ensembles is empty"),
    ):
        with pytest.raises(ValueError, match=reason):
            TournamentOptions(scorers=scorers).check_ensembles(ensembles)


def test_rankings_that_tie_everything_are_called_so_and_recommend_nothing() -> None:
    rankings, scores = simulated(12, {"random": 0.0, "longest": 1.0, "a": 2.0}, rng=np.random.default_rng(0))
    rankings = rankings.assign(rank=1)
    metrics, contests = nodes.measure_scorers(rankings, scores, OPTIONS, 0)
    row = {"cpu_seconds": 1.5, "tokens": 100.0, "usd": None, "note": None}
    costs = ScorerCosts.validate(pd.DataFrame([{"scorer": s, "made_by": s, **row} for s in metrics["scorer"].unique()]))
    said = texts(nodes.describe_tournament(rankings, metrics, contests, costs, PUBLISHED, OPTIONS))
    assert said.startswith("The rankings say nothing about scorers: all candidates of each of 12 ranked examples")
    assert "recommend" not in said
