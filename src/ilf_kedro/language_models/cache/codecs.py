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
    """Writes one kind of answer as JSON, and reads it again without loss."""

    write: Callable[[Answer], str]
    read: Callable[[str], Answer]


NUMBER: Codec[float] = Codec(json.dumps, lambda text: float(json.loads(text)))

VECTOR: Codec[NDArray[np.float32]] = Codec(
    lambda vector: json.dumps(vector.tolist()), lambda text: np.array(json.loads(text), dtype=np.float32)
)

NUMBERS: Codec[tuple[float, ...]] = Codec(lambda values: json.dumps([*values]), lambda text: tuple(json.loads(text)))

LOG_LIKELIHOODS: Codec[TokenLogProbabilities] = Codec(
    lambda tokens: json.dumps([tokens.log_probabilities, tokens.spans]),
    lambda text: _read_log_likelihoods(*json.loads(text)),
)

# The token log-probabilities of several sequences that were asked about together.
SCORES: Codec[list[NDArray[np.float64]]] = Codec(
    lambda scores: json.dumps([score.tolist() for score in scores]),
    lambda text: [np.array(score, dtype=np.float64) for score in json.loads(text)],
)


def _read_log_likelihoods(values: list[float], spans: list[list[int]]) -> TokenLogProbabilities:
    return TokenLogProbabilities(tuple(values), tuple((begin, end) for begin, end in spans))


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
    """Return the completion that `completion_fields` described, sampled under `seed`."""
    # Servers' answers were kept as `log_probabilities` once, and have been paid for.
    values = fields.get("token_log_probabilities", fields.get("log_probabilities"))
    return Completion(
        fields["text"], fields["n_tokens"], fields["finish_reason"], seed, None if values is None else tuple(values)
    )
