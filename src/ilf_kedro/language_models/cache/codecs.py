"""How answers are written into the completion cache: one JSON form for each kind, whatever backend gave it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ilf_kedro.language_models.protocol import Completion, TokenLogProbabilities

__all__ = [
    "LOG_LIKELIHOODS",
    "NUMBER",
    "NUMBERS",
    "SCORES",
    "VECTOR",
    "Codec",
    "completion_codec",
    "completion_fields",
    "pack_truncated",
    "read_completion",
    "unpack_truncated",
]

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Codec(Generic[Answer]):
    """Writes one kind of answer as JSON, and reads it again without loss.

    `read` raises ValueError, TypeError or LookupError for a text that is no such answer.
    """

    write: Callable[[Answer], str]
    read: Callable[[str], Answer]


NUMBER: Codec[float] = Codec(json.dumps, lambda text: float(json.loads(text)))

VECTOR: Codec[NDArray[np.float32]] = Codec(
    lambda vector: json.dumps(vector.tolist()), lambda text: np.array(_numbers(json.loads(text)), dtype=np.float32)
)

NUMBERS: Codec[tuple[float, ...]] = Codec(
    lambda values: json.dumps([*values]), lambda text: tuple(_numbers(json.loads(text)))
)

LOG_LIKELIHOODS: Codec[TokenLogProbabilities] = Codec(
    lambda tokens: json.dumps([tokens.log_probabilities, tokens.spans]),
    lambda text: _read_log_likelihoods(*json.loads(text)),
)

# The token log-probabilities of several sequences that were asked about together.
SCORES: Codec[list[NDArray[np.float64]]] = Codec(
    lambda scores: json.dumps([score.tolist() for score in scores]),
    lambda text: [np.array(_numbers(score), dtype=np.float64) for score in _listed(json.loads(text))],
)


def _listed(values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise TypeError(f"found {str(values)[:80]} where a list was expected")
    return values


def _numbers(values: Any) -> list[float]:
    if not all(isinstance(value, float | int) for value in _listed(values)):
        raise TypeError(f"found {str(values)[:80]} where numbers were expected")
    return list(values)


def _read_log_likelihoods(values: list[float], spans: list[list[int]]) -> TokenLogProbabilities:
    return TokenLogProbabilities(tuple(_numbers(values)), tuple((begin, end) for begin, end in spans))


def pack_truncated(text: str, n_truncated_tokens: int) -> str:
    """Return a written answer together with the number of tokens that were cut from its prompt."""
    return json.dumps({"n_cut": n_truncated_tokens, "answer": text}) if n_truncated_tokens else text


def unpack_truncated(text: str) -> tuple[str, int]:
    """Return what `pack_truncated` was given."""
    if not text.startswith(_CUT):
        return text, 0
    fields = json.loads(text)
    return fields["answer"], fields["n_cut"]


_CUT = '{"n_cut": '


def completion_codec(seed: int) -> Codec[Completion]:
    """Return the codec of completions that were sampled under `seed`, which is part of their keys."""
    return Codec(lambda each: json.dumps(completion_fields(each)), lambda text: read_completion(json.loads(text), seed))


def completion_fields(completion: Completion) -> dict[str, JsonValue]:
    """Return a completion as the cache keeps it; a backend may add fields of its own."""
    values = completion.token_log_probabilities
    return {
        "text": completion.text,
        "n_tokens": completion.n_tokens,
        "finish_reason": completion.finish_reason,
        "token_log_probabilities": None if values is None else [*values],
    }


def read_completion(fields: Mapping[str, Any], seed: int) -> Completion:
    """Return the completion that `completion_fields` described, sampled under `seed`.

    Raises:
        TypeError, LookupError: they describe none.
    """
    if (
        not isinstance(fields, Mapping)
        or not isinstance(fields["text"], str)
        or not isinstance(fields["n_tokens"], int)
    ):
        raise TypeError(f"found {str(fields)[:80]} where a completion was expected")
    # Servers' answers were kept as `log_probabilities` once, and have been paid for.
    values = fields.get("token_log_probabilities", fields.get("log_probabilities"))
    kept = None if values is None else tuple(_numbers(values))
    return Completion(fields["text"], fields["n_tokens"], fields["finish_reason"], seed, kept)
