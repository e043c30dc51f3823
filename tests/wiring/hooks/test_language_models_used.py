"""What the language models of a run did, added up per catalog entry for its record."""

from __future__ import annotations

from ilf_kedro.language_models.local.run_statistics import RunStatistics
from ilf_kedro.language_models.openai.cost_tracker import AttemptFault, CostTracker, Usage
from ilf_kedro.language_models.openai.options import Price
from ilf_kedro.schemas.run_record import ApiSpending, LocalWork
from ilf_kedro.wiring.hooks.language_models_used import LanguageModelsUsed
from tests.support.run_records import RECORD, FakeModel


class CountingModel:
    """A language model that counts what it does, as the local backend and the API's do."""

    name, revision, capabilities = "counting", "r2", frozenset[str]()
    choice_probabilities = log_likelihood = embed = staticmethod(lambda *_: None)

    def __init__(self, ledger: CostTracker) -> None:
        self.statistics = RunStatistics()
        self.ledger = ledger

    def generate(self, usd: float | None) -> None:
        self.statistics.hits += 2
        self.statistics.misses += 3
        self.ledger.book(Usage(10, 5), usd)
        self.ledger.book_saved(4, Usage(1, 1), None if usd is None else Price(input=1e6, output=0))
        self.ledger.book_fault(AttemptFault.RATE_LIMITED)


def test_what_models_did_is_added_up_per_catalog_entry() -> None:
    used = LanguageModelsUsed()
    loads = [CountingModel(CostTracker(budget=9.0)) for _ in range(3)]
    for name, model in zip(("refiner", "refiner", "judge"), loads, strict=True):
        used.add(name, model)  # type: ignore[arg-type]
    used.add("unused", CountingModel(CostTracker()))  # type: ignore[arg-type]
    used.add("fake", FakeModel())  # type: ignore[arg-type]
    for model, usd in zip(loads, (0.5, 0.25, None), strict=True):
        model.generate(usd)
    fake, judge, refiner, unused = used.describe()
    assert [each.dataset for each in (fake, judge, refiner, unused)] == ["fake", "judge", "refiner", "unused"]
    assert all(each.local_work is each.api_spending is None for each in (fake, unused))
    assert refiner.local_work == LocalWork(
        answers_from_cache=4, answers_computed=6, tokens_asked=0, tokens_computed=0, inputs_truncated=0
    )
    assert refiner.api_spending == ApiSpending(
        requests=2,
        input_tokens=20,
        output_tokens=10,
        usd=0.75,
        possibly_billed_usd=0,
        answers_from_cache=8,
        saved_usd=2.0,
        budget=9.0,
        faults={"status 429": 2},
    )
    assert judge.api_spending is not None
    assert (judge.api_spending.requests, judge.api_spending.usd, judge.api_spending.saved_usd) == (1, None, None)
    record = RECORD.model_copy(update={"language_models": (fake, judge, refiner, unused)})
    assert record.spending == ((judge, judge.api_spending), (refiner, refiner.api_spending))
