"""A server's model that asks nobody, and counts what asking would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.made_up import CachedOrMadeUp, MadeUpLanguageModel, NotInCacheError, existing
from ilf_kedro.language_models.openai.asker import Asker
from ilf_kedro.language_models.openai.cost_tracker import CostTracker, Forecast, Usage
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.questions import Question
from ilf_kedro.language_models.openai.readers import Fields
from ilf_kedro.language_models.openai.runner import forecast

__all__ = ["DryApiModel", "Needs"]


@dataclass(slots=True)
class Needs:
    """What a model would be asked, and how many answers the cache has."""

    requests: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float | None = 0.0
    cached: int = 0

    def add(self, expected: Forecast) -> None:
        """Add a piece of question."""
        self.requests += expected.requests
        self.usage += expected.usage
        self.usd = None if self.usd is None or expected.usd is None else self.usd + expected.usd


class DryApiModel(CachedOrMadeUp):
    """A server's model that answers from the cache, or else makes something up and counts what asking would take.

    What a server can do is believed of it: that completions echo log-probabilities is not asked.
    """

    def __init__(self, model: OpenAICompatibleLanguageModel) -> None:
        self.options, self.needs = model.options, Needs()
        super().__init__(_CacheOnlyModel(model, self.needs), MadeUpLanguageModel(model.name))


class _CacheOnlyModel(OpenAICompatibleLanguageModel):
    def __init__(self, model: OpenAICompatibleLanguageModel, needs: Needs) -> None:
        # Token ids are the server's to tell: the likeliest tokens cost as much.
        options = model.options.model_copy(update={"exact_choices": False})
        cache = existing(model.cache)
        super().__init__(options, name=model.name, cache=cache)
        self._asker = _Counter(options, cache, needs)
        self._echoes = True  # not asked


class _Counter(Asker):
    """Counts what would be asked for, each answer once."""

    def __init__(self, options: ApiOptions, cache: CompletionCache | None, needs: Needs) -> None:
        super().__init__(
            options, name=options.model, credentials=None, env_file=Path(), cache=cache, costs=CostTracker()
        )
        self._needs = needs
        self._counted: set[str] = set()

    def answer(self, questions: Sequence[Question], label: str, billed_model: str | None = None) -> dict[str, Fields]:
        """Return what the cache has.

        Raises:
            NotInCacheError: an answer is missing.
        """
        del label, billed_model
        keys = {key for question in questions for key in question.keys}
        values = self.kept(questions)
        self._needs.cached += len(values.keys() - self._counted)
        known: dict[str, Fields] = {**values, **{key: {} for key in keys & self._counted}}
        if unsent := self.plan(questions, known):
            self._needs.add(forecast(unsent, self._options))
        self._counted |= keys
        if len(values) < len(keys):
            raise NotInCacheError
        return values
