"""Which language models a run was given, and what they did: their own counts, added up per catalog entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ilf_kedro.language_models.local.run_statistics import RunStatistics
from ilf_kedro.language_models.openai.cost_tracker import CostTracker, SpendingReport
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.schemas.run_record import ApiSpending, LanguageModelUsed, LocalWork


@dataclass(slots=True)
class _Entry:
    """One catalog entry in one node. Every load makes a model of its own, of which only the counts are kept."""

    name: str
    revision: str
    statistics: list[RunStatistics] = field(default_factory=list)
    ledgers: list[CostTracker] = field(default_factory=list)


class LanguageModelsUsed:
    """The language models of one run by their catalog entries and the nodes that were given them."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}

    def add(self, dataset: str, model: Model, node: str = "") -> None:
        """Take down a model that a node was given; what it does from now on counts."""
        entry = self._entries.setdefault((dataset, node), _Entry(model.name, model.revision))
        if isinstance(statistics := getattr(model, "statistics", None), RunStatistics):
            entry.statistics.append(statistics)
        if isinstance(ledger := getattr(model, "ledger", None), CostTracker):
            entry.ledgers.append(ledger)

    def describe(self) -> tuple[LanguageModelUsed, ...]:
        """Return what was used, and done with it until now, sorted by catalog entry."""
        found: dict[str, list[_Entry]] = {}
        for (dataset, _), entry in sorted(self._entries.copy().items()):
            found.setdefault(dataset, []).append(entry)
        return tuple(_describe(dataset, entries) for dataset, entries in found.items())

    def describe_work(self, node: str) -> tuple[LanguageModelUsed, ...]:
        """Return what did something in a node until now, and what it did there, sorted by catalog entry."""
        own = ((dataset, entry) for (dataset, user), entry in sorted(self._entries.copy().items()) if user == node)
        described = [_describe(dataset, [entry]) for dataset, entry in own]
        return tuple(model for model in described if model.local_work or model.api_spending)


def _describe(dataset: str, entries: Sequence[_Entry]) -> LanguageModelUsed:
    return LanguageModelUsed(
        dataset=dataset,
        name=entries[0].name,
        revision=entries[0].revision,
        local_work=_add_work([each for entry in entries for each in entry.statistics]),
        api_spending=_add_spending([ledger.report() for entry in entries for ledger in entry.ledgers]),
    )


def _add_work(statistics: Sequence[RunStatistics]) -> LocalWork | None:
    if not any(each != RunStatistics() for each in statistics):
        return None
    return LocalWork(
        answers_from_cache=sum(each.hits for each in statistics),
        answers_computed=sum(each.misses for each in statistics),
        tokens_asked=sum(each.n_asked for each in statistics),
        tokens_computed=sum(each.n_computed for each in statistics),
        inputs_truncated=sum(each.n_truncated for each in statistics),
    )


def _add_spending(reports: Sequence[SpendingReport]) -> ApiSpending | None:
    if not any(each.requests or each.saved_answers or each.faults for each in reports):
        return None
    faults = {name for each in reports for name in each.faults}
    return ApiSpending(
        requests=sum(each.requests for each in reports),
        input_tokens=sum(each.usage.input_tokens for each in reports),
        output_tokens=sum(each.usage.output_tokens for each in reports),
        usd=_add_prices(each.usd for each in reports),
        possibly_billed_usd=sum(each.possibly_billed_usd for each in reports),
        answers_from_cache=sum(each.saved_answers for each in reports),
        saved_usd=_add_prices(each.saved_usd for each in reports),
        budget=reports[0].budget,
        faults={name: sum(each.faults.get(name, 0) for each in reports) for name in sorted(faults)},
    )


def _add_prices(prices: Iterable[float | None]) -> float | None:
    """Return the sum; None where one is unknown."""
    known = list(prices)
    return None if None in known else sum(price or 0.0 for price in known)
