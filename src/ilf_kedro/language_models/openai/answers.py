"""What an OpenAI-compatible server sends back, read strictly enough to tell an answer that is not whole."""

from __future__ import annotations

import json
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from ilf_kedro.language_models.openai.cost_tracker import AttemptFault, Usage
from ilf_kedro.language_models.openai.server_words import ServerWords, read_server_words
from ilf_kedro.language_models.openai.token_lists import LogProbabilities
from ilf_kedro.language_models.protocol import FinishReason

# Finish reasons of several servers in lower case; of one that is not here, the choice counts as finished.
_STOPPED = frozenset(
    {"stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete", "tool_calls", "function_call"}
)
_LENGTH = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
_REFUSED = frozenset(
    {"content_filter", "content-filter", "content_filtered", "refusal", "safety", "sensitive", "recitation", "blocked"}
    | {"prohibited_content", "blocklist", "spii", "guardrail_intervened"}
)
_FAILED = frozenset(
    {"error", "abort", "aborted", "cancelled", "canceled", "timeout", "network_error", "other"}
    | {"insufficient_system_resource", "finish_reason_unspecified"}
)
_WORTH_ASKING = 3  # times, where it may be the prompt that cannot be answered


class MalformedAnswerError(ValueError):
    """The server's answer, of status 200, is not one: `fault` says how, `usage` what it billed if it says so.

    `attempts`: after so many alike, the prompt is what cannot be answered. `words` and `status` are those of
    an error that the server put into the answer.
    """

    def __init__(
        self,
        fault: AttemptFault,
        usage: Usage | None,
        found: str,
        *,
        attempts: int | None = None,
        words: ServerWords | None = None,
    ) -> None:
        self.words = words or ServerWords(found)
        super().__init__(f"{fault}: {self.words.message}")
        self.fault = fault
        self.usage = usage
        self.attempts = attempts


class NoLogProbabilitiesError(MalformedAnswerError):
    """The answer holds text, but not the log-probabilities that were asked for."""

    def __init__(
        self, usage: Usage | None, found: str, fault: AttemptFault = AttemptFault.NO_LOG_PROBABILITIES
    ) -> None:
        super().__init__(fault, usage, found, attempts=_WORTH_ASKING)


class _Lenient(BaseModel):
    """Part of an answer: servers add fields of their own."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _CachedTokens(_Lenient):
    cached_tokens: int | None = None


class ApiUsage(_Lenient):
    """Tokens as the server counted them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None

    @property
    def usage(self) -> Usage | None:
        """The same as the ledger's type; None where nothing is counted."""
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        details = self.prompt_tokens_details
        return Usage(self.prompt_tokens or 0, self.completion_tokens or 0, (details and details.cached_tokens) or 0)


def _joined(content: JsonValue) -> JsonValue:
    """Return the text of content that comes in parts; parts that are no text, such as thoughts, are left out."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "".join(text for text in texts if isinstance(text, str))


_Text = Annotated[str | None, BeforeValidator(_joined)]


class _Message(_Lenient):
    content: _Text = None
    refusal: str | None = None
    reasoning_content: _Text = None
    reasoning: _Text = None


class ApiChoice(_Lenient):
    """One completion, of either endpoint."""

    index: int | None = None
    text: _Text = None
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: LogProbabilities | None = None
    error: JsonValue = None

    @property
    def failed(self) -> bool:
        """Whether the server says that it broke off, or gives nothing at all where it says that it is done."""
        return bool(self.error) or self._reason in _FAILED or self._is_void

    @property
    def finish(self) -> FinishReason:
        """Why it ended, where it has not failed."""
        if self._reason in _REFUSED or (self.message is not None and self.message.refusal):
            return "refused"
        return "length" if self._reason in _LENGTH else "stop"

    @property
    def is_known(self) -> bool:
        """Whether the finish reason is one that some server documents."""
        return self._reason in {"", "null"} | _STOPPED | _LENGTH | _REFUSED | _FAILED

    @property
    def content(self) -> str:
        """The completion's text; empty for a refusal."""
        if self.finish == "refused":
            return ""
        return (self.message.content if self.message is not None else self.text) or ""

    @property
    def reasoning(self) -> str:
        """What the server lists apart as the model's thoughts."""
        return (self.message and (self.message.reasoning_content or self.message.reasoning)) or ""

    @property
    def _is_void(self) -> bool:
        nothing = self.message is not None and self.message.content is None and self.text is None
        return nothing and not self.reasoning and self.finish == "stop"

    @property
    def _reason(self) -> str:
        return (self.finish_reason or "").lower()


class _AnyAnswer(_Lenient):
    usage: ApiUsage | None = None
    model: str | None = None
    error: JsonValue = None

    @field_validator("usage", mode="wrap")
    @classmethod
    def _forgive(cls, value: JsonValue, parse: ValidatorFunctionWrapHandler, _: ValidationInfo) -> ApiUsage | None:
        """Read a usage that is none as a missing one: no good text is lost over it."""
        try:
            usage: ApiUsage | None = parse(value)
        except ValidationError:
            return None
        return usage

    @property
    def spent(self) -> Usage | None:
        """The usage, where the server says it."""
        return self.usage.usage if self.usage else None


class Answer(_AnyAnswer):
    """The answer to a chat or completions request, its choices in order."""

    choices: list[ApiChoice] | None = None

    @property
    def whole(self) -> list[ApiChoice]:
        """The choices that have not failed."""
        return [choice for choice in self.choices or [] if not choice.failed]


class Embedding(_Lenient):
    """One vector, and which text of the request it is of."""

    index: int | None = None
    embedding: list[float]


class EmbeddingAnswer(_AnyAnswer):
    """The answer to an embeddings request."""

    data: list[Embedding] | None = None


AnswerType = TypeVar("AnswerType", Answer, EmbeddingAnswer)


def read_answer(body: bytes, kind: type[AnswerType]) -> AnswerType:
    """Parse an answer's body.

    Raises:
        MalformedAnswerError: it is no JSON, is an error, or holds no whole choice.
    """
    try:
        answer = kind.model_validate_json(body)
    except ValidationError:
        answer = _read_mended(body, kind)
    if isinstance(answer, EmbeddingAnswer):
        if not answer.data:
            raise _nothing(answer, body, "an empty list of embeddings")
        return answer
    if not answer.choices:
        raise _nothing(answer, body, "an empty list of choices")
    if not answer.whole:
        words = read_server_words(json.dumps([choice.error for choice in answer.choices if choice.error]))
        reasons = sorted({str(choice.finish_reason) for choice in answer.choices})
        found = words.message or f"no text, or a part of one (finish reason {', '.join(reasons)})"
        raise MalformedAnswerError(AttemptFault.FAILED, answer.spent, found, words=words if words.message else None)
    if any(choice.text is None and choice.message is None for choice in answer.whole):
        raise MalformedAnswerError(AttemptFault.MALFORMED, answer.spent, "a choice without text")
    indices = [choice.index for choice in answer.choices]
    if len({index for index in indices if index is not None}) == len(indices):
        answer.choices.sort(key=lambda choice: choice.index or 0)
    return answer


def _read_mended(body: bytes, kind: type[AnswerType]) -> AnswerType:
    """Read a body that is JSON but for half a surrogate pair or bytes that are no UTF-8: each is replaced."""
    try:
        parsed = json.loads(body.decode("utf-8", "replace"))
        text = json.dumps(parsed, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return kind.model_validate_json(text)
    except ValidationError as error:
        found = f"{body[:80]!r} ({error.errors()[0]['msg']})"
    except (ValueError, RecursionError) as error:
        found = f"{read_server_words(body).message or body[:80]!r} ({str(error)[:80]})"
    raise MalformedAnswerError(AttemptFault.MALFORMED, _usage_in(body), found) from None


def _nothing(answer: _AnyAnswer, body: bytes, found: str) -> MalformedAnswerError:
    """Return the error of an answer without content: what the server says of it, or else a blocked prompt."""
    words = read_server_words(body) if answer.error else ServerWords("")
    if words.message or words.codes:
        return MalformedAnswerError(AttemptFault.FAILED, answer.spent, words.message, words=words)
    return MalformedAnswerError(AttemptFault.EMPTY_CHOICES, answer.spent, found, attempts=_WORTH_ASKING)


def _usage_in(body: bytes) -> Usage | None:
    try:
        return _AnyAnswer.model_validate_json(body).spent
    except ValidationError:
        return None
