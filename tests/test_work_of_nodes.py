"""What a language model did is told apart by the node that was given it."""

from __future__ import annotations

from ilf_kedro.language_models.local.run_statistics import RunStatistics
from ilf_kedro.wiring.hooks.language_models_used import LanguageModelsUsed


class Counting:
    """Enough of a language model to be counted."""

    name, revision, capabilities = "m", "r", frozenset[str]()

    def __init__(self, computed: int, cached: int = 0) -> None:
        self.statistics = RunStatistics(hits=cached, misses=computed, n_computed=10 * computed)


def test_each_node_has_its_own_work_and_the_run_their_sum() -> None:
    used = LanguageModelsUsed()
    used.add("judge", Counting(3), "first")  # type: ignore[arg-type]
    used.add("judge", Counting(4, cached=2), "second")  # type: ignore[arg-type]
    used.add("refiner", Counting(0), "second")  # type: ignore[arg-type]
    (first,), (second,) = used.describe_work("first"), used.describe_work("second")
    assert first.local_work is not None
    assert second.local_work is not None
    assert (first.dataset, first.local_work.tokens_computed, first.local_work.answers_from_cache) == ("judge", 30, 0)
    assert (second.local_work.tokens_computed, second.local_work.answers_from_cache) == (40, 2)
    assert used.describe_work("third") == ()
    judge, refiner = used.describe()
    assert judge.local_work is not None
    assert (judge.local_work.tokens_computed, judge.local_work.answers_from_cache) == (70, 2)
    assert (refiner.dataset, refiner.local_work) == ("refiner", None)
