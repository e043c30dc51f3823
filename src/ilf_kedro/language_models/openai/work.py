"""The questions to an API as pieces of work: which cache keys they fill, by which requests, read how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import JsonValue

from ilf_kedro.language_models.cache.codecs import completion_fields
from ilf_kedro.language_models.openai import requests
from ilf_kedro.language_models.openai.answers import (
    Answer,
    ApiChoice,
    EmbeddingAnswer,
    MalformedAnswerError,
    read_answer,
)
from ilf_kedro.language_models.openai.cost_tracker import Fault, Usage
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.requests import ApiRequest
from ilf_kedro.language_models.protocol import Completion, FinishReason, SamplingOptions

EMBEDDINGS_PER_REQUEST = 64

Keys = Sequence[str]


Fields = dict[str, Any]
"""What is kept under a key, as JSON says it: an answer's fields, and the `usage` that it was billed."""


@dataclass(frozen=True, slots=True)
class Values:
    """What one answer gives: the fields to keep by key, its usage, and what was unusual in it."""

    values: Mapping[str, Fields]
    usage: Usage | None
    remarks: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """Cache keys to fill, so many with one request.

    `request` gives the request that fills some of the keys; `read` takes its answer's body and the same
    keys, and returns the values of at least one of them, or raises MalformedAnswerError.
    """

    keys: tuple[str, ...]
    request: Callable[[Keys], ApiRequest]
    read: Callable[[bytes, Keys], Values]
    keys_per_request: int = 1

    def reader(self, keys: Keys) -> Callable[[bytes], Values]:
        """Return `read` for the answer that is to fill these keys."""
        return lambda body: self.read(body, keys)


def generation_work(
    options: ApiOptions, text: str, sampling: SamplingOptions, *, example_id: str, seed: int, samples: Mapping[str, int]
) -> Work:
    """Complete one prompt; `samples` maps keys to sample indices."""

    def first_seed(keys: Keys) -> int:
        return requests.sample_seed(seed, example_id, samples[keys[0]])

    def request(keys: Keys) -> ApiRequest:
        return requests.generation_request(options, text, sampling, samples=len(keys), seed=first_seed(keys))

    def read(body: bytes, keys: Keys) -> Values:
        return _read_completions(body, keys, options, sampling, first_seed(keys))

    return Work(tuple(samples), request, read, options.samples_per_request)


def next_token_work(options: ApiOptions, text: str, key: str) -> Work:
    """Ask for the likeliest next tokens after one prompt."""

    def request(keys: Keys) -> ApiRequest:
        del keys  # there is one
        return requests.next_token_request(options, text)

    return Work((key,), request, _read_next_token)


def echo_work(options: ApiOptions, text: str, key: str) -> Work:
    """Ask for the log-probabilities of one text's own tokens."""

    def request(keys: Keys) -> ApiRequest:
        del keys  # there is one
        return requests.echo_request(options, text)

    def read(body: bytes, keys: Keys) -> Values:
        answer = read_answer(body, Answer)
        tokens = echoed_tokens(answer, text)
        if tokens is None:
            raise MalformedAnswerError(
                Fault.NO_LOG_PROBABILITIES, answer.spent, "the answer does not echo the text's logprobs", permanent=True
            )
        return Values({keys[0]: _value(answer.spent, tokens=tokens, model=answer.model)}, answer.spent)

    return Work((key,), request, read)


def embedding_work(options: ApiOptions, texts: Mapping[str, str]) -> Work:
    """Ask for the vectors of texts by key."""

    def request(keys: Keys) -> ApiRequest:
        return requests.embedding_request(options, [texts[key] for key in keys])

    return Work(tuple(texts), request, _read_embeddings, EMBEDDINGS_PER_REQUEST)


def _read_completions(body: bytes, keys: Keys, options: ApiOptions, sampling: SamplingOptions, seed: int) -> Values:
    answer = read_answer(body, Answer)
    choices = answer.choices[: len(keys)]
    tokens = _tokens_each(choices, answer.spent.output_tokens if answer.spent else 0, sampling.max_new_tokens)
    # Some servers count the tokens of one choice alone.
    spent = answer.spent and replace(answer.spent, output_tokens=max(answer.spent.output_tokens, sum(tokens)))
    values, remarks = {}, []
    for position, (key, choice, n_tokens) in enumerate(zip(keys, choices, tokens, strict=False)):
        text, stopped = requests.cut_at_stop(choice.content, sampling.stop)
        finish: FinishReason = "stop" if stopped else choice.finish
        sampled = choice.logprobs.sampled() if choice.logprobs and options.token_log_probabilities else None
        token_values = None if sampled is None else tuple(token.logprob for token in sampled)
        completion = Completion(text, n_tokens, finish, seed, token_values)
        fields = completion_fields(completion)
        values[key] = _value(spent if position == 0 else None, **fields, seed=seed, model=answer.model)
        remarks += [Fault.REFUSED] if finish == "refused" else [Fault.LENGTH] if finish == "length" else []
    if len(choices) < len(keys):
        remarks.append(Fault.FEWER_CHOICES)
    return Values(values, spent, tuple(remarks))


def _read_next_token(body: bytes, keys: Keys) -> Values:
    answer = read_answer(body, Answer)
    choice = answer.choices[0]
    if choice.finish == "refused":  # whatever is listed begins a refusal, and answers nothing
        return Values({keys[0]: _value(answer.spent, top={})}, answer.spent, (Fault.REFUSED,))
    sampled = choice.logprobs.sampled() if choice.logprobs else []
    if not sampled or not sampled[0].top_logprobs:
        raise MalformedAnswerError(
            Fault.NO_LOG_PROBABILITIES, answer.spent, "the answer lists no likeliest tokens (logprobs)", permanent=True
        )
    top: dict[str, float] = {}
    for token in (sampled[0], *sampled[0].top_logprobs):
        top[token.text] = max(token.logprob, top.get(token.text, -np.inf))
    return Values({keys[0]: _value(answer.spent, top=dict(top), model=answer.model)}, answer.spent)


def _read_embeddings(body: bytes, keys: Keys) -> Values:
    answer = read_answer(body, EmbeddingAnswer)
    values: dict[str, Fields] = {}
    for item in answer.data:
        if 0 <= item.index < len(keys):
            values[keys[item.index]] = _value(answer.spent if item.index == 0 else None, vector=[*item.embedding])
    if not values:
        raise MalformedAnswerError(Fault.MALFORMED, answer.spent, "embeddings of none of the texts")
    return Values(values, answer.spent, (Fault.FEWER_CHOICES,) if len(values) < len(keys) else ())


def usage_in(fields: Fields) -> Usage:
    """Return what an answer cost when it was asked for (0 for all but the first of one request)."""
    return Usage(*fields["usage"])


def echoed_tokens(answer: Answer, text: str) -> list[JsonValue] | None:
    """Return [start, end, log-probability] of each token of the echoed text but the first; None if it is no echo."""
    logprobs = answer.choices[0].logprobs
    if logprobs is None or not (answer.choices[0].text or "").startswith(text):
        return None
    offsets, values = logprobs.text_offset or [], logprobs.token_logprobs or []
    if len(offsets) != len(values) or len(values) < 2:
        return None
    base = offsets[0]  # some servers count from elsewhere
    starts = [offset - base for offset in offsets]
    ends = [*starts[1:], len(text)]
    tokens: list[JsonValue] = []
    for start, end, value in zip(starts[1:], ends[1:], values[1:], strict=True):
        if start >= len(text):
            break
        if value is None or value > 0 or end < start:
            return None
        tokens.append([start, min(end, len(text)), value])
    return tokens


def _value(usage: Usage | None, **fields: JsonValue) -> Fields:
    spent = usage or Usage()
    return {**fields, "usage": [spent.input_tokens, spent.output_tokens, spent.cached_input_tokens]}


def _tokens_each(choices: Sequence[ApiChoice], total: int, max_new_tokens: int) -> list[int]:
    """Return the tokens of each choice, as exactly as the answer allows.

    They are counted where log-probabilities list them, and known where the choice was cut at the maximal
    length; the others share what is left of the total by their length, or, where that cannot be
    (the server counted one choice alone), are estimated at four characters a token.
    """
    counted = [len(choice.logprobs.sampled()) if choice.logprobs else 0 for choice in choices]
    if all(counted):
        return counted
    known = [max_new_tokens if choice.finish == "length" else 0 for choice in choices]
    lengths = np.array(
        [0 if count else len(choice.content) for count, choice in zip(known, choices, strict=True)], dtype=float
    )
    left = total - sum(known)
    if lengths.sum() == 0:
        return known
    shares = np.ceil(lengths / 4)
    if left >= np.count_nonzero(lengths) and not 8 * left < lengths.sum():
        shares = np.diff(np.round(np.cumsum(lengths) / lengths.sum() * left), prepend=0)
    return [count + int(share) for count, share in zip(known, shares, strict=True)]
