"""Tokens with their log-probabilities, as servers list them: with gaps, in two formats."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


def _list_or_empty(value: JsonValue) -> JsonValue:
    return [] if value is None else value


class Alternative(_Lenient):
    """A token and its log-probability, None where the server gives none.

    `bytes` is its text in UTF-8 where the server gives it.
    """

    token: str | None = None
    logprob: float | None = None
    bytes: list[int] | None = None

    @property
    def text(self) -> str:
        """The token's text, with the blank that some servers leave encoded."""
        if self.bytes is not None and all(0 <= byte < 256 for byte in self.bytes):
            return bytes(self.bytes).decode(errors="replace")
        return (self.token or "").replace("Ġ", " ").replace("▁", " ")

    @property
    def value(self) -> float | None:
        """The log-probability, at most 0; None where it is missing or no number. −∞ is a number: impossible."""
        if self.logprob is None or math.isnan(self.logprob):
            return None
        return min(0.0, self.logprob)


class TokenAnswer(Alternative):
    """A sampled token and its likeliest alternatives (itself among them)."""

    top_logprobs: Annotated[list[Alternative], BeforeValidator(_list_or_empty)] = Field(default_factory=list)

    def likeliest(self) -> dict[str, float]:
        """Return the log-probability of each text that is listed with one; empty where no alternative is."""
        if not any(token.value is not None for token in self.top_logprobs):
            return {}
        listed: dict[str, float] = {}
        for token in (self, *self.top_logprobs):
            if token.value is not None and math.isfinite(token.value):
                listed[token.text] = max(token.value, listed.get(token.text, -math.inf))
        return listed


class LogProbabilities(_Lenient):
    """Both formats: `content` of chat (and of llama.cpp everywhere), the four lists of legacy completions."""

    content: list[TokenAnswer] | None = None
    tokens: list[str | None] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None
    text_offset: list[int] | None = None

    def sampled(self) -> list[TokenAnswer]:
        """Return the sampled tokens in one format; the first of an echo, which has nothing, is left out."""
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
            if value is not None or top
        ]
