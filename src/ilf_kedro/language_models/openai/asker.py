"""From questions to their answers: what the cache has, then what the server says, kept as it arrives."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai.batch import BatchRunner
from ilf_kedro.language_models.openai.bundles import bundled
from ilf_kedro.language_models.openai.client import ApiClient
from ilf_kedro.language_models.openai.cost_tracker import CostTracker, Usage
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions, find_api_key
from ilf_kedro.language_models.openai.questions import Question
from ilf_kedro.language_models.openai.readers import Fields, read_fields, usage_in
from ilf_kedro.language_models.openai.runner import PendingRequest, forecast, plan_requests, send_requests
from ilf_kedro.language_models.openai.shortcomings import warn_of_budget

__all__ = ["Asker"]

logger = logging.getLogger(__name__)


class Asker:
    """Fills the cache keys of questions about one model; the key is looked for at the first that must be asked."""

    def __init__(
        self,
        options: ApiOptions,
        *,
        name: str,
        credentials: ApiCredentials | None,
        env_file: Path,
        cache: CompletionCache | None,
        costs: CostTracker,
    ) -> None:
        self._options = options
        self._name = name
        self._credentials = credentials
        self._env_file = env_file
        self.cache = cache
        self._costs = costs

    @cached_property
    def client(self) -> ApiClient:
        """The connection to the server."""
        return ApiClient(self._options, find_api_key(self._options, self._credentials, self._env_file), self._costs)

    def answer(self, questions: Sequence[Question], label: str, billed_model: str | None = None) -> dict[str, Fields]:
        """Return the values of every key, from the cache or the server.

        Raises:
            ApiError, BudgetExceededError: see ApiClient.ask; everything that arrived is in the cache.
        """
        values = self.kept(questions)
        price = self._options.prices.get(billed_model or self._options.model)
        self._costs.book_saved(len(values), sum((usage_in(value) for value in values.values()), Usage()), price)
        unsent = self.plan(questions, values)
        if not unsent:
            return values
        expected = forecast(unsent, self._options)
        logger.info("%s with %s: %s; %d answers are in the cache", label, self._name, expected, len(values))
        warn_of_budget(self._name, expected, self._costs.left())

        def store(new: Mapping[str, Fields]) -> None:
            if self.cache is not None:
                self.cache.put_many({key: json.dumps(fields) for key, fields in new.items()})
            values.update(new)

        try:
            if self._options.send == "online":
                send_requests(unsent, self.client, store, self._options.concurrency, label)
            else:
                runner = BatchRunner(self.client, self._options, self._costs, store)
                while unsent := self.plan(questions, values):  # again for choices that a server left out
                    runner.run(unsent, label)
        finally:
            logger.info("%s so far: %s", self._name, self._costs.whole.report())
        return values

    def plan(self, questions: Sequence[Question], known: Mapping[str, Fields]) -> list[PendingRequest]:
        """Return the requests for what is not known, several prompts in one where the options say so."""
        unsent = plan_requests(questions, known)
        single = self._options.send == "online" and all(question.one_prompt for question in questions)
        return bundled(unsent, self._options.prompts_per_request) if single else unsent

    def kept(self, questions: Sequence[Question]) -> dict[str, Fields]:
        """Return what the cache has under the questions' keys, but for what is no answer."""
        if self.cache is None:
            return {}
        known = self.cache.get_many(list(dict.fromkeys(key for question in questions for key in question.keys)))
        values = {key: fields for key, text in known.items() if (fields := read_fields(text)) is not None}
        self.cache.drop([key for key in known if key not in values])
        return values
