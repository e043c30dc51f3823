"""What a scorer cost: its own node's work, and nothing where the cache answered."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from ilf_kedro.pipelines.tournament.costs import scorer_costs
from ilf_kedro.schemas.run_record import ApiSpending, LanguageModelUsed, LocalWork, NodeCost, RunRecord
from tests.support.ranked_tables import scores


def work(computed: int, cached: int = 0, tokens: int = 900) -> LanguageModelUsed:
    local = LocalWork(
        answers_from_cache=cached,
        answers_computed=computed,
        tokens_asked=5 * tokens,
        tokens_computed=tokens,
        inputs_truncated=0,
    )
    return LanguageModelUsed(dataset="instruct_rm", name="m", revision="r", local_work=local)


def spending(requests: int, cached: int = 0, usd: float | None = 0.25) -> LanguageModelUsed:
    api = ApiSpending(
        requests=requests,
        input_tokens=700,
        output_tokens=40,
        usd=usd,
        possibly_billed_usd=0.0,
        answers_from_cache=cached,
        saved_usd=None,
        budget=None,
        faults={},
    )
    return LanguageModelUsed(dataset="classifier", name="m", revision="r", api_spending=api)


def costs(**models: tuple[LanguageModelUsed, ...] | None) -> pd.DataFrame:
    """Return the costs of scorers whose nodes took 12 CPU-seconds; None is a node that did not run."""
    nodes = [
        NodeCost(
            name=f"tournament.score_{scorer}",
            seconds=7.0,
            cpu_seconds=12.0,
            peak_memory_mb=1.0,
            memory_increase_mb=0.0,
            language_models=used,
        )
        for scorer, used in models.items()
        if used is not None
    ]
    run = RunRecord(
        run_id="r",
        outcome="started",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        pipelines=("tournament",),
        environment="base",
        git=None,
        parameters={},
        libraries={},
        python="3",
        platform="x",
        nodes_planned=1,
        nodes=tuple(nodes),
    )
    tables = {scorer: scores({f"{scorer}_{i}": {"a": [1.0]} for i in (1, 2)}) for scorer in models}
    return scorer_costs(run, tables, "tournament").set_index("scorer")


def test_scores_of_one_node_share_its_cost() -> None:
    table = costs(instruct_rm=(work(40),))
    assert table["cpu_seconds"].to_dict() == {"instruct_rm_1": 12.0, "instruct_rm_2": 12.0}
    assert table.loc["instruct_rm_1", ["made_by", "tokens"]].tolist() == ["instruct_rm", 900.0]


def test_answers_from_the_cache_do_not_make_a_scorer_free() -> None:
    for cached in (work(0, cached=40, tokens=0), work(39, cached=1), spending(3, cached=5)):
        row = costs(instruct_rm=(cached,)).iloc[0]
        assert pd.isna(row["cpu_seconds"])
        assert pd.isna(row["tokens"])
        assert "from the cache" in row["note"]


def test_a_scorer_whose_model_counts_nothing_is_not_free_either() -> None:
    row = costs(instruct_rm=()).iloc[0]
    assert pd.isna(row["cpu_seconds"])
    assert "does not say" in row["note"]


def test_scorers_that_ask_no_model_cost_their_time_alone() -> None:
    table = costs(random=(), longest=())
    assert table["cpu_seconds"].tolist() == [12.0] * 4
    assert table["tokens"].tolist() == [0.0] * 4


def test_an_api_costs_tokens_and_money_where_its_price_is_known() -> None:
    table = costs(classifier=(spending(8),), reward_model=(spending(8, usd=None),))
    assert table.loc["classifier_1", ["tokens", "usd"]].tolist() == [740.0, 0.25]
    assert pd.isna(table.loc["reward_model_1", "usd"])


def test_scores_of_an_earlier_run_have_no_cost_in_this_one() -> None:
    row = costs(instruct_rm=None).iloc[0]
    assert pd.isna(row["cpu_seconds"])
    assert row["note"] == "scored in an earlier run"
