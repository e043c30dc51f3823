"""Errors of an API, told with their cause and remedy and without its key."""

from __future__ import annotations

import openai
from pydantic import SecretStr

from ilf_kedro.language_models.openai.answers import MalformedAnswerError
from ilf_kedro.language_models.openai.options import ApiOptions

_MAX_MESSAGE = 400
_TRANSIENT = frozenset({408, 409, 429})
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
_TOO_LONG = ("context length", "context size", "context window", "maximum context", "context_length", "too long")


class ApiError(RuntimeError):
    """A request failed for good; answers that arrived before are in the cache."""


class ApiRefusedError(ApiError):
    """The server refuses the request and would refuse it again; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiUnavailableError(ApiError):
    """The server did not answer, though it was asked several times; it may do so later."""


def is_permanent(error: openai.APIError | MalformedAnswerError) -> bool:
    """Tell whether asking again would get the same error."""
    if isinstance(error, MalformedAnswerError):
        return error.permanent
    if not isinstance(error, openai.APIStatusError):
        return False
    if error.code == "insufficient_quota":
        return True
    return error.status_code < 500 and error.status_code not in _TRANSIENT


def is_filtered(error: openai.APIError | MalformedAnswerError) -> bool:
    """Tell whether a content filter rejected the prompt: a refusal of this one request, not of the work."""
    return isinstance(error, openai.APIStatusError) and error.code in _FILTERED


def refused(error: openai.APIError | MalformedAnswerError, options: ApiOptions, key: SecretStr) -> ApiRefusedError:
    """Make the error of a permanent refusal."""
    status = error.status_code if isinstance(error, openai.APIStatusError) else 200
    return ApiRefusedError(
        f"{options.base_url} refuses the request for model {options.model!r} (status {status}): "
        f"{redact(_message(error), key)}. {_remedy(error, status, options)} "
        "Answers that arrived before are kept; run again to ask for the rest.",
        status,
    )


def unavailable(
    error: openai.APIError | MalformedAnswerError, options: ApiOptions, key: SecretStr
) -> ApiUnavailableError:
    """Make the error of a request that no attempt got through."""
    return ApiUnavailableError(
        f"{options.base_url} gave no answer for model {options.model!r} in {options.max_retries + 1} attempts; the "
        f"last failed with: {redact(_message(error), key)}. Check that the server is up and that base_url is right, "
        "or raise `max_retries` or `timeout_seconds`, or lower `concurrency`. Answers that arrived before are kept; "
        "run again to ask for the rest."
    )


def redact(text: str, key: SecretStr) -> str:
    """Return the text without the key, which servers like to repeat, and not longer than a few lines."""
    secret = key.get_secret_value()
    text = text.replace(secret, "***") if secret else text
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"


def _message(error: openai.APIError | MalformedAnswerError) -> str:
    if isinstance(error, openai.APIError):
        return error.message.rstrip(". ")
    return str(error)


def _remedy(error: openai.APIError | MalformedAnswerError, status: int, options: ApiOptions) -> str:
    message = _message(error).lower()
    code = error.code if isinstance(error, openai.APIError) else None
    if code == "insufficient_quota":
        return "The account has no credit left: add some, or use another key."
    if status == 401:
        return (
            "The API key is wrong or expired: correct it in conf/local/credentials.yml, in .env or in the environment "
            f"variable {options.api_key_variable}."
        )
    if status == 403:
        return "The key may not use this model: choose another model, or a key that may."
    if status == 404:
        return "Check `model` and `base_url` (most servers' addresses end in /v1), and whether `endpoint` is served."
    if any(words in message or words in str(code) for words in _TOO_LONG):
        return "The prompt is longer than the model's context: set `max_prompt_characters`, which shortens inputs."
    if "max_tokens" in message or "max_completion_tokens" in message:
        return "Set `max_tokens_parameter` to the name that the server wants."
    if "logprobs" in message or isinstance(error, MalformedAnswerError):
        return "Lower `top_log_probabilities` (0: none), or choose a model that gives log-probabilities."
    return "Adapt the model's options to what the server takes (such as `send_seed`, `samples_per_request`)."
