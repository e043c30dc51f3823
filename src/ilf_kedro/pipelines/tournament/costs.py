"""What each scorer cost in this run, from the run's own record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ilf_kedro.pipelines.selection.scorers import asks_model
from ilf_kedro.schemas import DataFrame, ScorerCosts, Scores
from ilf_kedro.schemas.run_record import LanguageModelUsed, NodeCost, RunRecord
from ilf_kedro.scoring.ensemble import SCORER as ENSEMBLE

__all__ = ["scorer_costs"]

Cost = dict[str, float | str | None]


def scorer_costs(run: RunRecord, tables: Mapping[str, DataFrame[Scores]], namespace: str) -> DataFrame[ScorerCosts]:
    """Return the cost of every scorer: CPU-seconds of its node, and the tokens that its language models worked on.

    `tables` are the scores by the scorer that made them, in nodes called {namespace}.score_{scorer}. An answer from the
    cache took neither time nor tokens now, but did when it was asked for; so the cost of a node that had any is
    unknown, not small.
    """
    nodes = {node.name: node for node in run.nodes}
    rows: list[dict[str, object]] = []
    for made_by, table in tables.items():
        cost = _cost(nodes.get(f"{namespace}.score_{made_by}"), made_by)
        rows += [{"scorer": scorer, "made_by": made_by, **cost} for scorer in table["scorer"].unique()]
    return ScorerCosts.from_rows(rows)


def _cost(node: NodeCost | None, made_by: str) -> Cost:
    if node is None:
        return _unknown("scored in an earlier run")
    counts = [count for model in node.language_models for count in _counts(model)]
    from_cache = sum(cached for cached, _, _ in counts)
    if from_cache:
        answers = from_cache + sum(computed for _, computed, _ in counts)
        return _unknown(f"{from_cache:,} of {answers:,} answers came from the cache")
    if asks_model(made_by) and not counts:
        return _unknown("its language model does not say what it did")
    spent = [model.api_spending.usd for model in node.language_models if model.api_spending is not None]
    return {
        "cpu_seconds": node.cpu_seconds,
        "tokens": float(sum(tokens for _, _, tokens in counts)),
        "usd": None if not spent or None in spent else sum(usd or 0.0 for usd in spent),
        "note": "and that of its members" if made_by == ENSEMBLE else None,
    }


def _counts(model: LanguageModelUsed) -> Iterator[tuple[int, int, int]]:
    """Yield answers from the cache, answers made, and tokens."""
    if (local := model.local_work) is not None:
        yield local.answers_from_cache, local.answers_computed, local.tokens_computed
    if (api := model.api_spending) is not None:
        yield api.answers_from_cache, api.requests, api.input_tokens + api.output_tokens


def _unknown(note: str) -> Cost:
    return {"cpu_seconds": None, "tokens": None, "usd": None, "note": note}
