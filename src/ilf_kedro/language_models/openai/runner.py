"""Sends many requests at once, keeps every answer as it arrives, and stops cleanly."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from rich.progress import track

from ilf_kedro.language_models.openai.client import ApiClient
from ilf_kedro.language_models.openai.cost_tracker import Forecast, Usage
from ilf_kedro.language_models.openai.errors import PromptUnansweredError
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.questions import Question
from ilf_kedro.language_models.openai.readers import Fields
from ilf_kedro.language_models.openai.requests import ApiRequest

logger = logging.getLogger(__name__)

Store = Callable[[Mapping[str, Fields]], None]


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """The keys that one request is to fill."""

    question: Question
    keys: tuple[str, ...]

    @property
    def request(self) -> ApiRequest:
        """The request that fills them."""
        return self.question.request(self.keys)


def plan_requests(questions: Sequence[Question], known: Mapping[str, Fields]) -> list[PendingRequest]:
    """Return the requests that fill what is not known, each key once."""
    claimed = set(known)
    unsent = []
    for question in questions:
        missing = [key for key in dict.fromkeys(question.keys) if key not in claimed]
        claimed.update(missing)
        size = question.keys_per_request
        unsent += [
            PendingRequest(question, tuple(missing[start : start + size])) for start in range(0, len(missing), size)
        ]
    return unsent


def forecast(unsent: Sequence[PendingRequest], options: ApiOptions) -> Forecast:
    """Add up what the requests are likely to need."""
    usage, usd = Usage(), 0.0
    priced = True
    for pending_request in unsent:
        request = pending_request.request
        usage += request.estimate
        price = options.prices.get(request.model)
        priced = priced and price is not None
        usd += request.estimate.cost(price, batch=options.send == "batch") if price else 0.0
    return Forecast(len(unsent), usage, usd if priced else None)


def send_requests(
    unsent: Sequence[PendingRequest], client: ApiClient, store: Store, concurrency: int, label: str
) -> None:
    """Send the requests, `concurrency` at a time, and hand every answer to `store` the moment it is there.

    At the first error, and at an interruption, nothing more is sent; what is under way is waited for and
    stored, then the error is raised.

    Raises:
        ApiError, BudgetExceededError: see ApiClient.ask.
    """
    client.stopping.clear()
    with ThreadPoolExecutor(min(concurrency, max(1, len(unsent))), thread_name_prefix="api") as pool:
        futures = [pool.submit(_send_request, pending_request, client, store) for pending_request in unsent]
        try:
            for future in track(as_completed(futures), description=label, total=len(futures)):
                future.result()
        finally:
            # After an error or Ctrl-C; when all is done, there is nothing left to stop.
            client.stopping.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _send_request(pending_request: PendingRequest, client: ApiClient, store: Store) -> None:
    """Ask until every key is filled: a server may return fewer choices than it is asked for.

    Of several prompts in one request that the server will not answer, each is asked alone; a prompt that it
    will not answer alone gets the work's blank value.
    """
    missing, at_once = pending_request.keys, len(pending_request.keys)
    while missing:
        asked = missing[:at_once]
        try:
            values = client.ask(pending_request.question.request(asked), pending_request.question.reader(asked)).values
        except PromptUnansweredError as error:
            if len(asked) > 1 and not pending_request.question.one_prompt:
                at_once = 1
                continue
            values = client.blank(pending_request.question, asked, error)
        store(values)
        missing = tuple(key for key in missing if key not in values)
