"""Errors of an API, told with the server's own words, their cause and remedy, and without its key."""

from __future__ import annotations

import re
from dataclasses import dataclass

import openai
from pydantic import SecretStr

from ilf_kedro.language_models.openai.answers import MalformedAnswerError
from ilf_kedro.language_models.openai.cost_tracker import AttemptFault
from ilf_kedro.language_models.openai.options import OMITTABLE, ApiOptions
from ilf_kedro.language_models.openai.server_words import ServerWords, read_server_words

_MAX_MESSAGE = 400
_TRANSIENT = frozenset({408, 409, 429})
_BLOCKED_CODES = frozenset(
    {"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "data_inspection_failed"}
    | {"datainspectionfailed", "prohibited_content", "content_blocked", "moderation_blocked", "safety"}
)
# How gateways tell it in words: LiteLLM, OpenRouter, DashScope, Azure.
_BLOCKED_WORDS = (
    "contentpolicyviolation", "requires moderation", "input was flagged", "may contain inappropriate content",
    "content management policy", "responsibleaipolicyviolation",
)  # fmt: skip
_TOO_LONG = ("context length", "context size", "context window", "maximum context", "context_length", "too long")
_NO_CREDIT = frozenset({"insufficient_quota", "insufficient_balance", "billing_hard_limit_reached", "arrearage"})


class ApiError(RuntimeError):
    """A request failed for good; answers that arrived before are in the cache."""


class ApiRefusedError(ApiError):
    """The server refuses the request and would refuse it again; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiUnavailableError(ApiError):
    """The server did not answer, though it was asked several times; it may do so later."""


class PromptUnansweredError(ApiRefusedError):
    """The server will not answer this one prompt, or one of those in this request: nothing ends but it."""

    def __init__(self, message: str, status: int, fault: AttemptFault) -> None:
        super().__init__(message, status)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Failure:
    """What came of an attempt in place of an answer.

    `status` is HTTP's, or the one that stands in an answer of status 200; None where nothing came back.
    `fault` is how an answer of status 200 was none, and `attempts` after how many alike the prompt is at fault.
    """

    words: ServerWords
    status: int | None = None
    fault: AttemptFault | None = None
    attempts: int | None = None

    @classmethod
    def of(cls, error: openai.APIError | MalformedAnswerError) -> Failure:
        """Return what the client's or the reader's error says."""
        if isinstance(error, MalformedAnswerError):
            return cls(error.words, error.words.status or 200, error.fault, error.attempts)
        if isinstance(error, openai.APIStatusError):
            words = read_server_words(error.response.content)
            return cls(words if words.message else ServerWords(error.message, words.codes), error.status_code)
        # What lies under a lost connection says more than the client's own "Connection error."
        return cls(ServerWords((str(error.__cause__ or "") or error.message).rstrip(". ")))

    @property
    def is_blocked(self) -> bool:
        """Whether a content filter rejected the prompt: a refusal of this one request, not of the question."""
        if self.status is None or self.status >= 500:
            return False
        text = self.words.message.lower()
        return bool(self.words.codes & _BLOCKED_CODES) or any(words in text for words in _BLOCKED_WORDS)

    @property
    def is_out_of_credit(self) -> bool:
        """Whether the account has nothing left, which no waiting mends."""
        return self.status == 402 or bool(self.words.codes & _NO_CREDIT)

    @property
    def is_permanent(self) -> bool:
        """Whether asking again would get the same error."""
        if self.status is None:
            return False
        return self.is_out_of_credit or (400 <= self.status < 500 and self.status not in _TRANSIENT)


def refused(failure: Failure, options: ApiOptions, key: SecretStr) -> ApiRefusedError:
    """Make the error of a permanent refusal."""
    status = failure.status or 200
    return ApiRefusedError(
        f"{options.base_url} refuses the request for model {options.model!r} (status {status}): "
        f"{redact(failure.words.message, key)}. {_remedy(failure, options)} "
        "Answers that arrived before are kept; run again to ask for the rest.",
        status,
    )


def unanswered(failure: Failure, options: ApiOptions, key: SecretStr) -> PromptUnansweredError:
    """Make the error of a prompt that the server will not answer."""
    fault = failure.fault or AttemptFault.REFUSED
    return PromptUnansweredError(
        f"{options.base_url} does not answer a prompt for model {options.model!r}: "
        f"{redact(failure.words.message, key)}",
        failure.status or 200,
        AttemptFault.REFUSED if fault in (AttemptFault.EMPTY_CHOICES, AttemptFault.FAILED) else fault,
    )


def unavailable(failure: Failure, options: ApiOptions, key: SecretStr) -> ApiUnavailableError:
    """Make the error of a request that no attempt got through."""
    return ApiUnavailableError(
        f"{options.base_url} gave no answer for model {options.model!r} in {options.max_retries + 1} attempts; the "
        f"last failed with: {redact(failure.words.message, key)}. Check that the server is up and that base_url is "
        "right, or raise `max_retries` or `timeout_seconds`, or lower `concurrency`. Answers that arrived before are "
        "kept; run again to ask for the rest."
    )


def redact(text: str, key: SecretStr) -> str:
    """Return the text without the key, which servers like to repeat, and not longer than a few lines."""
    secret = key.get_secret_value()
    text = text.replace(secret, "***") if secret else text
    text = text.rstrip(". ")
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"


def _remedy(failure: Failure, options: ApiOptions) -> str:
    message = failure.words.message.lower()
    if failure.is_out_of_credit:
        return "The account has no credit left: add some, or use another key."
    if failure.status == 401:
        return (
            "The API key is wrong or expired: correct it in conf/local/credentials.yml, in .env or in the environment "
            f"variable {options.api_key_variable}."
        )
    if failure.status == 403:
        return "The key may not use this model: choose another model, or a key that may."
    if failure.status == 404:
        return "Check `model` and `base_url` (most servers' addresses end in /v1), and whether `endpoint` is served."
    if any(words in message or words in failure.words.codes for words in _TOO_LONG):
        return "The prompt is longer than the model's context: set `max_prompt_characters`, which shortens inputs."
    if failure.fault is AttemptFault.REASONING:
        return HOW_TO_ANSWER_AT_ONCE
    if "logprobs" in message or failure.fault is AttemptFault.NO_LOG_PROBABILITIES:
        return "Lower `top_log_probabilities` (0: none), or choose a model that gives log-probabilities."
    return _remedy_of_refused_options(failure.words)


HOW_TO_ANSWER_AT_ONCE = (
    "The model reasons before it answers: switch that off where the server can (such as `extra_body: "
    "{reasoning_effort: minimal}` or `{chat_template_kwargs: {enable_thinking: false}}`), raise `max_new_tokens`, or "
    "choose a model that answers at once."
)


def _remedy_of_refused_options(words: ServerWords) -> str:
    """Name the options that the server's words name, and how to leave them out."""
    named = {*re.findall(r"[a-z_]+", words.message.lower()), *words.codes}
    if named & {"max_tokens", "max_completion_tokens"}:
        return (
            "Set `max_tokens_parameter` to the name that the server wants (max_tokens or max_completion_tokens), or "
            "leave it out with `omit: [max_tokens]`."
        )
    if found := [option for option in OMITTABLE if option in named]:
        return (
            f"Leave out what it refuses, such as `omit: [{found[-1]}]` (any of {', '.join(OMITTABLE)}), and give what "
            "it wants instead in `extra_body`."
        )
    return (
        f"Adapt the model's options to what the server takes: `omit` leaves out any of {', '.join(OMITTABLE)}, "
        "`extra_body` adds what it wants."
    )
