"""One request to an OpenAI-compatible server, with everything that may go wrong on the way.

The openai client does the retries and honours Retry-After; here are the limits per minute, the budget, the
count of faults, answers that arrive broken, and errors that say what to do.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
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
    Failure,
    PromptUnansweredError,
    refused,
    unanswered,
    unavailable,
)
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.rate_limiter import Pace
from ilf_kedro.language_models.openai.requests import ApiRequest
from ilf_kedro.language_models.openai.server_words import read_server_words
from ilf_kedro.language_models.openai.work import Fields, Values, Work

__all__ = ["ApiClient", "ApiRefusedError", "ApiUnavailableError", "PromptUnansweredError", "StoppedError"]

Result = TypeVar("Result")

RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 8.0


class StoppedError(RuntimeError):
    """The work was stopped elsewhere; nothing was sent."""


@dataclass(slots=True)
class _Call:
    """One request on its way: what an attempt may use and cost, how many were made, and whether one is unsettled."""

    tokens: int
    usd: float
    attempts: int = 0
    open: bool = False


class _RedirectError(httpx2.RequestError):
    """The server sent a request on to another one; it was not followed."""


class _WatchedClient(DefaultHttpxClient):
    """An HTTP client that watches every attempt, retries included: limits, budget, time and faults."""

    def __init__(self, options: ApiOptions, spending: Spending, stopping: threading.Event) -> None:
        self._seconds = options.timeout_seconds
        super().__init__(
            timeout=httpx2.Timeout(self._seconds, connect=min(self._seconds, 10.0)),
            event_hooks={"response": [_refuse_other_hosts]},
        )
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
        call.open = True
        try:
            response = self._whole(request, *args, **kwargs)
        except _RedirectError:
            self._fail(call, Fault.REDIRECTED)
            raise
        except httpx2.RequestError as error:
            unreached = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
            timeout = isinstance(error, httpx2.TimeoutException)
            self._fail(call, Fault.UNREACHABLE if unreached else Fault.TIMEOUT if timeout else Fault.DROPPED)
            raise
        if response.status_code == 429:
            self._requests.hold_back(_retry_after(response))
            self._fail(call, Fault.RATE_LIMITED)
            if Failure(read_server_words(response.content), 429).is_out_of_credit:
                response.headers["x-should-retry"] = "false"  # which the openai client obeys
        elif response.status_code >= 400:
            self._fail(call, Fault.SERVER_ERROR if response.status_code >= 500 else Fault.REJECTED)
        return response

    def settle(self, call: _Call, *, lost: bool) -> None:
        """Give back what the attempt under way had set aside, if it still has."""
        if call.open:
            call.open = False
            self._spending.settle(call.usd, lost=lost)

    def _whole(self, request: httpx2.Request, *args: Any, **kwargs: Any) -> httpx2.Response:
        """Return the response, read to its end; a server that drips must be done in the same time as any other."""
        deadline = time.monotonic() + self._seconds
        response = super().send(request, *args, **{**kwargs, "stream": True})
        try:
            # Only now is it known what is left for the body: httpx looks here when the reading begins.
            left = max(0.001, deadline - time.monotonic())
            response.request.extensions["timeout"] = {**request.extensions.get("timeout", {}), "read": left}
            chunks = []
            for chunk in response.iter_raw():
                chunks.append(chunk)
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout(f"no whole answer in {self._seconds:g} seconds", request=request)
            return httpx2.Response(
                response.status_code, headers=response.headers, content=b"".join(chunks), request=response.request
            )
        finally:
            response.close()

    def _fail(self, call: _Call, fault: Fault) -> None:
        self._spending.book_fault(fault)
        self.settle(call, lost=fault in (Fault.TIMEOUT, Fault.DROPPED))


class ApiClient:
    """Sends requests and reads their answers; safe for threads. Once `stopping` is set, nothing is sent."""

    def __init__(self, options: ApiOptions, api_key: SecretStr, spending: Spending) -> None:
        self._options = options
        self._key = api_key
        self._spending = spending
        self.stopping = threading.Event()
        self.gives_log_probabilities = False
        self._has_answered = False
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

        Raises:
            PromptUnansweredError: the server will not answer this prompt (its filter rejects it, it sends back
                nothing again and again), but it may answer others.
            ApiRefusedError: the server will never answer this (a wrong key, an unknown model, too long a prompt).
            ApiUnavailableError: it answered none of the attempts.
            BudgetExceededError: an attempt might exceed the budget.
            StoppedError: the work was stopped meanwhile.
        """
        left = self._options.max_retries + 1
        alike: list[Fault | None] = []
        while True:
            outcome, attempts = self._attempt(request, read, left)
            left -= attempts
            if isinstance(outcome, Values):
                self._has_answered = True
                self.gives_log_probabilities |= bool(request.body.get("logprobs"))
                return outcome
            alike.append(outcome.fault)
            if (error := self.final_error(outcome, alike.count(outcome.fault))) is not None:
                raise error
            if left <= 0:
                # Where others were answered, it is this prompt that the server fails on.
                one = outcome.fault is Fault.FAILED and self._has_answered
                raise (unanswered if one else unavailable)(outcome, self._options, self._key)
            # The client has waited between its own attempts; a broken answer is ours to ask for again.
            self.stopping.wait(min(MAX_RETRY_SECONDS, RETRY_SECONDS * 2 ** (self._options.max_retries - left)))

    def final_error(self, failure: Failure, times: int) -> ApiRefusedError | None:
        """Return the error that ends the asking after a failure was met so many times; None to ask again."""
        if failure.is_blocked:
            return unanswered(failure, self._options, self._key)
        if failure.is_permanent:
            return refused(failure, self._options, self._key)
        if failure.attempts is None or times < min(failure.attempts, self._options.max_retries + 1):
            return None
        # A server that never gives log-probabilities will not give them to other prompts either.
        silent = failure.fault in (Fault.NO_LOG_PROBABILITIES, Fault.REASONING) and not self.gives_log_probabilities
        return (refused if silent else unanswered)(failure, self._options, self._key)

    def blank(self, work: Work, keys: Sequence[str], error: PromptUnansweredError) -> dict[str, Fields]:
        """Return the values of a prompt that the server will not answer, each counted."""
        for _ in keys if error.fault is Fault.REFUSED else ():  # other faults were counted with their attempts
            self._spending.book_fault(error.fault)
        return {key: work.blank(error.fault) for key in keys}

    def _attempt(
        self, request: ApiRequest, read: Callable[[bytes], Values], attempts: int
    ) -> tuple[Values | Failure, int]:
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
            return self._read(request, read, response.content, call), call.attempts
        except openai.APIError as error:
            return Failure.of(error), max(1, call.attempts)
        finally:
            self._http.begin(None)
            self._http.settle(call, lost=True)  # whatever was raised: else others would wait for it for ever

    def _read(
        self, request: ApiRequest, read: Callable[[bytes], Values], content: bytes, call: _Call
    ) -> Values | Failure:
        """Read an answer of status 200, and book what it cost, of use or not."""
        outcome: Values | Failure
        usage: Usage | None
        try:
            outcome = read(content)
            usage, faults = outcome.usage or request.bound, outcome.remarks
        except MalformedAnswerError as error:
            outcome = Failure.of(error)
            usage, faults = error.usage and error.usage.within(request.bound), (error.fault,)
        if usage is not None:
            price = self._options.prices.get(request.model)
            self._http.tokens.give_back(call.tokens - usage.input_tokens - usage.output_tokens)
            self._spending.book(usage, usage.cost(price) if price else None)
        self._http.settle(call, lost=usage is None)
        for fault in faults:
            self._spending.book_fault(fault)
        return outcome

    def guard(self, call: Callable[[], Result]) -> Result:
        """Make a call that is not billed, such as of the Batch API, with this client's errors.

        Raises:
            ApiRefusedError, ApiUnavailableError: as for `ask`.
        """
        failure: Failure
        try:
            return call()
        except openai.APIError as error:
            failure = Failure.of(error)
        make = refused if failure.is_permanent else unavailable
        raise make(failure, self._options, self._key)

    def error_of(self, status: int, body: JsonValue) -> ApiRefusedError | None:
        """Return the error that an answer of this status and body would be, if asking again would not help."""
        return self.final_error(Failure(read_server_words(json.dumps(body)), status), 1)

    def close(self) -> None:
        """Close the connections."""
        self.openai.close()


def _refuse_other_hosts(response: httpx2.Response) -> None:
    """Let a redirect go to the same server only: prompts are sent to nobody but whom the user named."""
    if not response.has_redirect_location:
        return
    asked, target = response.url, response.url.join(response.headers["location"])
    same = (asked.scheme, asked.host, asked.port) == (target.scheme, target.host, target.port)
    safer = asked.host == target.host and (asked.scheme, target.scheme) == ("http", "https")
    if not (same or safer):
        raise _RedirectError(
            f"{asked.scheme}://{asked.netloc.decode()} sends requests on to another server, "
            f"{target.scheme}://{target.netloc.decode()}, which was not followed: if that is the one you mean, set "
            "`base_url` to it",
            request=response.request,
        )


def _retry_after(response: httpx2.Response) -> float:
    """Return the pause in seconds that the server asks for; 0 where it names none, or only a date."""
    for header, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, min(120.0, float(response.headers[header]) / divisor))
        except (KeyError, ValueError):
            continue
    return 0.0
