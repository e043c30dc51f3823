"""One request to an OpenAI-compatible server, with everything that may go wrong on the way.

The openai client does the retries and honours Retry-After; here are answers that arrive broken, and errors that say
what to do. What holds for every attempt is in transport.py.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import httpx2
import openai
from openai import OpenAI
from pydantic import JsonValue, SecretStr

from ilf_kedro.language_models.openai.answers import MalformedAnswerError
from ilf_kedro.language_models.openai.cost_tracker import AttemptFault, CostTracker, Usage
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
from ilf_kedro.language_models.openai.questions import Question
from ilf_kedro.language_models.openai.readers import Fields, ParsedAnswer
from ilf_kedro.language_models.openai.requests import ApiRequest
from ilf_kedro.language_models.openai.server_words import read_server_words
from ilf_kedro.language_models.openai.transport import Call, StoppedError, WatchedClient

__all__ = ["ApiClient", "ApiRefusedError", "ApiUnavailableError", "PromptUnansweredError", "StoppedError"]

Result = TypeVar("Result")

RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 8.0


class ApiClient:
    """Sends requests and reads their answers; safe for threads. Once `stopping` is set, nothing is sent."""

    def __init__(self, options: ApiOptions, api_key: SecretStr, spending: CostTracker) -> None:
        self._options = options
        self._key = api_key
        self._costs = spending
        self.stopping = threading.Event()
        self.gives_log_probabilities = False
        self._has_answered = False
        self._http = WatchedClient(options, spending, self.stopping)
        self.openai = OpenAI(
            api_key=api_key.get_secret_value(),
            base_url=options.base_url,
            timeout=options.timeout_seconds,
            max_retries=options.max_retries,
            http_client=self._http,
        )

    def ask(self, request: ApiRequest, read: Callable[[bytes], ParsedAnswer]) -> ParsedAnswer:
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
        alike: list[AttemptFault | None] = []
        while True:
            outcome, attempts = self._attempt(request, read, left)
            left -= attempts
            if isinstance(outcome, ParsedAnswer):
                self._has_answered = True
                self.gives_log_probabilities |= bool(request.body.get("logprobs"))
                return outcome
            alike.append(outcome.fault)
            if (error := self.final_error(outcome, alike.count(outcome.fault))) is not None:
                raise error
            if left <= 0:
                # Where others were answered, it is this prompt that the server fails on.
                one = outcome.fault is AttemptFault.FAILED and self._has_answered
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
        silent = (
            failure.fault in (AttemptFault.NO_LOG_PROBABILITIES, AttemptFault.REASONING)
            and not self.gives_log_probabilities
        )
        return (refused if silent else unanswered)(failure, self._options, self._key)

    def blank(self, question: Question, keys: Sequence[str], error: PromptUnansweredError) -> dict[str, Fields]:
        """Return the values of a prompt that the server will not answer, each counted."""
        for _ in keys if error.fault is AttemptFault.REFUSED else ():  # other faults were counted with their attempts
            self._costs.book_fault(error.fault)
        return {key: question.blank(error.fault) for key in keys}

    def _attempt(
        self, request: ApiRequest, read: Callable[[bytes], ParsedAnswer], attempts: int
    ) -> tuple[ParsedAnswer | Failure, int]:
        """Let the client try up to `attempts` times; return what came of it and how many it took.

        Errors are returned, not raised: what is raised later must not carry the client's own, which may
        repeat the key, as its context.
        """
        price = self._options.prices.get(request.model)
        estimate = request.estimate.input_tokens + request.estimate.output_tokens
        call = Call(estimate, request.bound.cost(price) if price else 0.0)
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
        self, request: ApiRequest, read: Callable[[bytes], ParsedAnswer], content: bytes, call: Call
    ) -> ParsedAnswer | Failure:
        """Read an answer of status 200, and book what it cost, of use or not."""
        outcome: ParsedAnswer | Failure
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
            self._costs.book(usage, usage.cost(price) if price else None)
        self._http.settle(call, lost=usage is None)
        for fault in faults:
            self._costs.book_fault(fault)
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
