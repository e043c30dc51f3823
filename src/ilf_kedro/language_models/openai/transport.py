"""Attempts on their way to a server: limits, budget, time, redirects and faults, whoever makes them."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import httpx2
from openai import DefaultHttpxClient

from ilf_kedro.language_models.openai.cost_tracker import AttemptFault, CostTracker
from ilf_kedro.language_models.openai.deadline import Deadline
from ilf_kedro.language_models.openai.errors import Failure
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.rate_limiter import RateLimiter
from ilf_kedro.language_models.openai.server_words import read_server_words

__all__ = ["Call", "StoppedError", "WatchedClient"]


class StoppedError(RuntimeError):
    """The work was stopped elsewhere; nothing was sent."""


@dataclass(slots=True)
class Call:
    """One request on its way: what an attempt may use and cost, how many were made, and whether one is unsettled."""

    tokens: int
    usd: float
    attempts: int = 0
    open: bool = False


class _RedirectError(httpx2.RequestError):
    """The server sent a request on to another one; it was not followed."""


class WatchedClient(DefaultHttpxClient):
    """An HTTP client that watches every attempt, retries included: limits, budget, time and faults."""

    def __init__(self, options: ApiOptions, spending: CostTracker, stopping: threading.Event) -> None:
        seconds = options.timeout_seconds
        super().__init__(
            timeout=httpx2.Timeout(seconds, connect=min(seconds, 10.0)),
            event_hooks={"response": [_refuse_other_hosts]},
        )
        self._deadline = Deadline(seconds)
        for transport in (self._transport, *self._mounts.values()):
            self._deadline.watch(transport)
        self.tokens = RateLimiter(options.tokens_per_minute, sleep=stopping.wait)
        self._requests = RateLimiter(options.requests_per_minute, sleep=stopping.wait)
        self._spending = spending
        self._stopping = stopping
        self._local = threading.local()

    def begin(self, call: Call | None) -> None:
        """Name the request that this thread's next attempts belong to (None: one that is not billed)."""
        self._local.call = call

    def send(self, request: httpx2.Request, *args: Any, **kwargs: Any) -> httpx2.Response:
        """Send when the limits and the budget allow it; what a good answer costs is for the caller to settle."""
        call: Call | None = getattr(self._local, "call", None)
        if call is None:
            large = "/files" in request.url.path  # a batch's, which may take its time
            with nullcontext() if large else self._deadline.limit():
                return super().send(request, *args, **kwargs)
        self._requests.wait()
        self.tokens.wait(call.tokens)
        if self._stopping.is_set():
            raise StoppedError("stopped before the request was sent")
        self._spending.reserve(call.usd)
        call.attempts += 1
        call.open = True
        try:
            with self._deadline.limit():
                response = super().send(request, *args, **kwargs)
        except _RedirectError:
            self._fail(call, AttemptFault.REDIRECTED)
            raise
        except httpx2.RequestError as error:
            unreached = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
            timeout = isinstance(error, httpx2.TimeoutException)
            self._fail(
                call,
                AttemptFault.UNREACHABLE if unreached else AttemptFault.TIMEOUT if timeout else AttemptFault.DROPPED,
            )
            raise
        if response.status_code == 429:
            self._requests.hold_back(_retry_after(response))
            self._fail(call, AttemptFault.RATE_LIMITED)
            if Failure(read_server_words(response.content), 429).is_out_of_credit:
                response.headers["x-should-retry"] = "false"  # which the openai client obeys
        elif response.status_code >= 400:
            self._fail(call, AttemptFault.SERVER_ERROR if response.status_code >= 500 else AttemptFault.REJECTED)
        return response

    def settle(self, call: Call, *, lost: bool) -> None:
        """Give back what the attempt under way had set aside, if it still has."""
        if call.open:
            call.open = False
            self._spending.settle(call.usd, lost=lost)

    def _fail(self, call: Call, fault: AttemptFault) -> None:
        self._spending.book_fault(fault)
        self.settle(call, lost=fault in (AttemptFault.TIMEOUT, AttemptFault.DROPPED))


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
