"""What an OpenAI-compatible server sends back, read strictly enough to tell a malformed answer."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ilf_kedro.language_models.openai.cost_tracker import Fault, Usage
from ilf_kedro.language_models.protocol import FinishReason

_FINISH: dict[str | None, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "refused",
    "refusal": "refused",
}


class MalformedAnswerError(ValueError):
    """The server's answer, of status 200, is not one: `fault` says how, `usage` what it billed if it says so.

    `permanent` where another attempt would bring the same.
    """

    def __init__(self, fault: Fault, usage: Usage | None, found: str, *, permanent: bool = False) -> None:
        super().__init__(f"{fault}: {found}")
        self.fault = fault
        self.usage = usage
        self.permanent = permanent


class _Lenient(BaseModel):
    """Part of an answer: servers add fields of their own."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _CachedTokens(_Lenient):
    cached_tokens: int | None = None


class ApiUsage(_Lenient):
    """Tokens as the server counted them."""

    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None

    @property
    def usage(self) -> Usage:
        """The same as the ledger's type."""
        details = self.prompt_tokens_details
        return Usage(self.prompt_tokens, self.completion_tokens or 0, (details and details.cached_tokens) or 0)


class Alternative(_Lenient):
    """A token and its log-probability; `bytes` is its text in UTF-8 where the server gives it."""

    token: str
    logprob: float
    bytes: list[int] | None = None

    @property
    def text(self) -> str:
        """The token's text, with the blank that some servers leave encoded."""
        if self.bytes is not None:
            return bytes(self.bytes).decode(errors="replace")
        return self.token.replace("Ġ", " ").replace("▁", " ")


class TokenAnswer(Alternative):
    """A sampled token and its likeliest alternatives (itself among them)."""

    top_logprobs: list[Alternative] = Field(default_factory=list)


class LogProbabilities(_Lenient):
    """Both formats: `content` of chat (and of llama.cpp everywhere), the four lists of legacy completions."""

    content: list[TokenAnswer] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None
    text_offset: list[int] | None = None

    def sampled(self) -> list[TokenAnswer]:
        """Return the sampled tokens in one format; a token without log-probability is left out."""
        if self.content is not None:
            return self.content
        tokens, values = self.tokens or [], self.token_logprobs or []
        tops = self.top_logprobs or [None] * len(tokens)
        return [
            TokenAnswer(
                token=token,
                logprob=value,
                top_logprobs=[Alternative(token=name, logprob=p) for name, p in (top or {}).items()],
            )
            for token, value, top in zip(tokens, values, tops, strict=False)
            if value is not None
        ]


class _Message(_Lenient):
    content: str | None = None
    refusal: str | None = None


class ApiChoice(_Lenient):
    """One completion, of either endpoint."""

    index: int = 0
    text: str | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: LogProbabilities | None = None

    @property
    def finish(self) -> FinishReason:
        """Why it ended."""
        if self.message is not None and self.message.refusal:
            return "refused"
        return _FINISH.get(self.finish_reason, "stop")

    @property
    def content(self) -> str:
        """The completion's text; empty for a refusal."""
        if self.finish == "refused":
            return ""
        return (self.message.content if self.message is not None else self.text) or ""


class _AnyAnswer(_Lenient):
    usage: ApiUsage | None = None
    model: str | None = None

    @property
    def spent(self) -> Usage | None:
        """The usage, where the server says it."""
        return self.usage.usage if self.usage else None


class Answer(_AnyAnswer):
    """The answer to a chat or completions request, its choices in order."""

    choices: list[ApiChoice]


class _Embedding(_Lenient):
    index: int
    embedding: list[float]


class EmbeddingAnswer(_AnyAnswer):
    """The answer to an embeddings request."""

    data: list[_Embedding]


AnswerType = TypeVar("AnswerType", Answer, EmbeddingAnswer)


def read_answer(body: bytes, kind: type[AnswerType]) -> AnswerType:
    """Parse an answer's body.

    Raises:
        MalformedAnswerError: it is no JSON, lacks what every answer has, or holds no choice.
    """
    try:
        answer = kind.model_validate_json(body)
    except ValidationError as error:
        found = f"{body[:80]!r} ({error.errors()[0]['msg']})"
        raise MalformedAnswerError(Fault.MALFORMED, _usage_in(body), found) from None
    if isinstance(answer, EmbeddingAnswer):
        if not answer.data:
            raise MalformedAnswerError(Fault.EMPTY_CHOICES, answer.spent, "an empty list of embeddings")
        answer.data.sort(key=lambda item: item.index)
        return answer
    if not answer.choices:
        raise MalformedAnswerError(Fault.EMPTY_CHOICES, answer.spent, "an empty list of choices")
    if any(choice.text is None and choice.message is None for choice in answer.choices):
        raise MalformedAnswerError(Fault.MALFORMED, answer.spent, "a choice without text")
    answer.choices.sort(key=lambda choice: choice.index)
    return answer


def _usage_in(body: bytes) -> Usage | None:
    try:
        return _AnyAnswer.model_validate_json(body).spent
    except ValidationError:
        return None
