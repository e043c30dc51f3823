"""One request to an OpenAI-compatible server, with everything that may go wrong on the way.

The openai client does the retries and honours Retry-After; here are the limits per minute, the budget, the
count of faults, answers that arrive broken, and errors that say what to do.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import openai
from openai import DefaultHttpxClient, OpenAI
from pydantic import JsonValue, SecretStr

from ilf_kedro.language_models.openai.answers import MalformedAnswerError
from ilf_kedro.language_models.openai.cost_tracker import Fault, Spending, Usage
from ilf_kedro.language_models.openai.errors import (
    ApiRefusedError,
    ApiUnavailableError,
    is_filtered,
    is_permanent,
    refused,
    unavailable,
)
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.rate_limiter import Pace
from ilf_kedro.language_models.openai.requests import ApiRequest
from ilf_kedro.language_models.openai.work import Values

__all__ = ["ApiClient", "ApiRefusedError", "ApiUnavailableError", "StoppedError"]

Result = TypeVar("Result")

RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 8.0


class StoppedError(RuntimeError):
    """The work was stopped elsewhere; nothing was sent."""


@dataclass(slots=True)
class _Call:
    """One request on its way: what an attempt may use and cost, and how many were made."""

    tokens: int
    usd: float
    attempts: int = 0


class _WatchedClient(DefaultHttpxClient):
    """An HTTP client that watches every attempt, retries included: limits, budget and faults."""

    def __init__(self, options: ApiOptions, spending: Spending, stopping: threading.Event) -> None:
        timeout = options.timeout_seconds
        super().__init__(timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0)))
        self.tokens = Pace(options.tokens_per_minute, sleep=stopping.wait)
        self._requests = Pace(options.requests_per_minute, sleep=stopping.wait)
        self._spending = spending
        self._stopping = stopping
        self._local = threading.local()

    def begin(self, call: _Call | None) -> None:
        """Name the request that this thread's next attempts belong to (None: one that is not billed)."""
        self._local.call = call

    def send(self, request: httpx2.Request, *args: Any, **kwargs: Any) -> httpx2.Response:
        """Send when the limits and the budget allow it; what a good answer costs is for the caller to settle."""
        call: _Call | None = getattr(self._local, "call", None)
        if call is None:
            return super().send(request, *args, **kwargs)
        self._requests.wait()
        self.tokens.wait(call.tokens)
        if self._stopping.is_set():
            raise StoppedError("stopped before the request was sent")
        self._spending.reserve(call.usd)
        call.attempts += 1
        try:
            response = super().send(request, *args, **kwargs)
        except httpx2.RequestError as error:
            unreached = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
            timeout = isinstance(error, httpx2.TimeoutException)
            self._fail(call, Fault.UNREACHABLE if unreached else Fault.TIMEOUT if timeout else Fault.DROPPED)
            raise
        if response.status_code == 429:
            self._requests.hold_back(_retry_after(response))
            self._fail(call, Fault.RATE_LIMITED)
        elif response.status_code >= 400:
            self._fail(call, Fault.SERVER_ERROR if response.status_code >= 500 else Fault.REJECTED)
        return response

    def _fail(self, call: _Call, fault: Fault) -> None:
        self._spending.book_fault(fault)
        self._spending.settle(call.usd, lost=fault in (Fault.TIMEOUT, Fault.DROPPED))


class ApiClient:
    """Sends requests and reads their answers; safe for threads. Once `stopping` is set, nothing is sent."""

    def __init__(self, options: ApiOptions, api_key: SecretStr, spending: Spending) -> None:
        self._options = options
        self._key = api_key
        self._spending = spending
        self.stopping = threading.Event()
        self._http = _WatchedClient(options, spending, self.stopping)
        self.openai = OpenAI(
            api_key=api_key.get_secret_value(),
            base_url=options.base_url,
            timeout=options.timeout_seconds,
            max_retries=options.max_retries,
            http_client=self._http,
        )

    def ask(self, request: ApiRequest, read: Callable[[bytes], Values]) -> Values:
        """Send the request until `read` can make something of an answer, at most 1 + max_retries times.

        A prompt that the server's content filter rejects is read as an answer that was refused.

        Raises:
            ApiRefusedError: the server will never answer this (a wrong key, an unknown model, too long a prompt).
            ApiUnavailableError: it answered none of the attempts.
            BudgetExceededError: an attempt might exceed the budget.
            StoppedError: the work was stopped meanwhile.
        """
        left = self._options.max_retries + 1
        while True:
            outcome, attempts = self._attempt(request, read, left)
            left -= attempts
            if isinstance(outcome, Values):
                return outcome
            if is_filtered(outcome) and (values := _read_refusal(request, read)) is not None:
                for fault in values.remarks:
                    self._spending.book_fault(fault)
                return values
            if is_permanent(outcome):
                raise refused(outcome, self._options, self._key)
            if left <= 0:
                raise unavailable(outcome, self._options, self._key)
            # The client has waited between its own attempts; a broken answer is ours to ask for again.
            self.stopping.wait(min(MAX_RETRY_SECONDS, RETRY_SECONDS * 2 ** (self._options.max_retries - left)))

    def _attempt(
        self, request: ApiRequest, read: Callable[[bytes], Values], attempts: int
    ) -> tuple[Values | openai.APIError | MalformedAnswerError, int]:
        """Let the client try up to `attempts` times; return what came of it and how many it took.

        Errors are returned, not raised: what is raised later must not carry the client's own, which may
        repeat the key, as its context.
        """
        price = self._options.prices.get(request.model)
        estimate = request.estimate.input_tokens + request.estimate.output_tokens
        call = _Call(estimate, request.bound.cost(price) if price else 0.0)
        self._http.begin(call)
        try:
            response = self.openai.post(
                request.path, cast_to=httpx2.Response, body=request.body, options={"max_retries": attempts - 1}
            )
        except openai.APIError as error:
            return error, max(1, call.attempts)
        finally:
            self._http.begin(None)
        outcome: Values | MalformedAnswerError
        usage: Usage | None
        try:
            outcome = read(response.content)
            usage = outcome.usage or request.bound
            self._http.tokens.give_back(estimate - usage.input_tokens - usage.output_tokens)
            faults = outcome.remarks
        except MalformedAnswerError as error:
            outcome, usage, faults = error, error.usage, (error.fault,)
        if usage is not None:
            self._spending.book(usage, usage.cost(price) if price else None)
        self._spending.settle(call.usd, lost=usage is None)
        for fault in faults:
            self._spending.book_fault(fault)
        return outcome, call.attempts

    def guard(self, call: Callable[[], Result]) -> Result:
        """Make a call that is not billed, such as of the Batch API, with this client's errors.

        Raises:
            ApiRefusedError, ApiUnavailableError: as for `ask`.
        """
        failure: openai.APIError
        try:
            return call()
        except openai.APIError as error:
            failure = error
        make = refused if is_permanent(failure) else unavailable
        raise make(failure, self._options, self._key)

    def permanent_error(self, status: int, body: JsonValue) -> ApiRefusedError | None:
        """Return the error that an answer of this status and body would be, if it is permanent."""
        details = body.get("error") if isinstance(body, dict) else None
        message = str(details.get("message")) if isinstance(details, dict) else str(body)
        response = httpx2.Response(status, request=httpx2.Request("POST", self._options.base_url))
        error = openai.APIStatusError(message, response=response, body=details)
        return refused(error, self._options, self._key) if is_permanent(error) else None

    def close(self) -> None:
        """Close the connections."""
        self.openai.close()


def _read_refusal(request: ApiRequest, read: Callable[[bytes], Values]) -> Values | None:
    """Return what `read` makes of choices that a filter cut to nothing; None where that is no answer to it."""
    n_choices = request.body.get("n", 1)
    choice = {"finish_reason": "content_filter", "text": ""}
    choices = [{**choice, "index": index} for index in range(n_choices if isinstance(n_choices, int) else 1)]
    try:
        return read(json.dumps({"choices": choices, "usage": {}}).encode())
    except MalformedAnswerError:
        return None


def _retry_after(response: httpx2.Response) -> float:
    """Return the pause in seconds that the server asks for; 0 where it names none, or only a date."""
    for header, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, min(120.0, float(response.headers[header]) / divisor))
        except (KeyError, ValueError):
            continue
    return 0.0
