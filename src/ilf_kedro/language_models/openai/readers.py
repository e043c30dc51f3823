"""What an API's answers hold, read into what is kept of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import JsonValue, TypeAdapter

from ilf_kedro.language_models.cache.codecs import completion_fields, read_completion
from ilf_kedro.language_models.openai import requests
from ilf_kedro.language_models.openai.answers import (
    Answer,
    ApiChoice,
    EmbeddingAnswer,
    MalformedAnswerError,
    NoLogProbabilitiesError,
)
from ilf_kedro.language_models.openai.cost_tracker import AttemptFault, Usage
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.reasoning import strip_reasoning
from ilf_kedro.language_models.protocol import Completion, SamplingOptions

Keys = Sequence[str]


Fields = dict[str, Any]
"""What is kept under a key, as JSON says it: an answer's fields, and the `usage` that it was billed."""


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """What one answer gives: the fields to keep by key, its usage, and what was unusual in it."""

    values: Mapping[str, Fields]
    usage: Usage | None
    remarks: tuple[AttemptFault, ...] = ()


def believed(answer: Answer | EmbeddingAnswer, bound: Usage) -> tuple[Usage | None, tuple[AttemptFault, ...]]:
    """Return what of the answer's usage can be true, and what is wrong with it."""
    spent = answer.spent
    if spent is None:
        return None, (AttemptFault.NO_USAGE,)
    believed = spent.within(bound)
    return believed, () if believed == spent else (AttemptFault.INCREDIBLE_USAGE,)


@dataclass(frozen=True, slots=True)
class CompletionReader:
    """Makes completions of an answer's choices."""

    options: ApiOptions
    sampling: SamplingOptions
    seed: int

    def read(self, answer: Answer, keys: Keys, bound: Usage) -> ParsedAnswer:
        """Return the completions of the choices that are whole, one for each key as far as they go."""
        choices = answer.whole[: len(keys)]
        spent, remarks = believed(answer, bound)
        tokens = _tokens_each(choices, spent.output_tokens if spent else 0, self.sampling.max_new_tokens)
        # Some servers count the tokens of one choice alone.
        spent = spent and replace(spent, output_tokens=max(spent.output_tokens, sum(tokens))).within(bound)
        faults, values = list(remarks), {}
        for position, (key, choice, n_tokens) in enumerate(zip(keys, choices, tokens, strict=False)):
            values[key] = self._completion(spent if position == 0 else None, choice, n_tokens, answer.model, faults)
        given = answer.choices or []
        faults += [AttemptFault.FAILED for choice in given if choice.failed]
        if len(given) < len(keys):
            faults.append(AttemptFault.FEWER_CHOICES)
        return ParsedAnswer(values, spent, tuple(faults))

    def _completion(
        self, spent: Usage | None, choice: ApiChoice, n_tokens: int, model: str | None, faults: list[AttemptFault]
    ) -> Fields:
        text, thought = strip_reasoning(choice.content) if self.options.strip_reasoning else (choice.content, False)
        text, stopped = requests.cut_at_stop(text, self.sampling.stop)
        finish = "stop" if stopped else choice.finish
        if finish == "refused":
            faults.append(AttemptFault.REFUSED)
        elif not text and not stopped and (thought or choice.reasoning or finish == "length"):
            faults.append(AttemptFault.REASONING)
            finish = "length"  # the thoughts, shown or not, took all: the answer never began
        elif finish == "length":
            faults.append(AttemptFault.LENGTH)
        if not choice.is_known:
            faults.append(AttemptFault.UNKNOWN_FINISH)
        log_probabilities: tuple[float, ...] | None = None
        if self.options.token_log_probabilities and not thought:
            log_probabilities = _all_values(choice)
            if log_probabilities is None and text:
                faults.append(AttemptFault.NO_LOG_PROBABILITIES)
        completion = Completion(text, n_tokens, finish, self.seed, log_probabilities)
        return fields_of(spent, **completion_fields(completion), seed=self.seed, model=model)


def _all_values(choice: ApiChoice) -> tuple[float, ...] | None:
    """Return the log-probability of every sampled token; None where one is missing."""
    values = [token.value for token in choice.logprobs.sampled()] if choice.logprobs else []
    known = tuple(value for value in values if value is not None and math.isfinite(value))
    return known if values and len(known) == len(values) else None


def read_next_token(answer: Answer, key: str, bound: Usage) -> ParsedAnswer:
    """Return the likeliest next tokens; none where the model refused.

    Raises:
        NoLogProbabilitiesError: the answer lists none.
    """
    spent, remarks = believed(answer, bound)
    choice = answer.whole[0]
    if choice.finish == "refused":  # whatever is listed begins a refusal, and answers nothing
        return ParsedAnswer(
            {key: fields_of(spent, top={}, why=str(AttemptFault.REFUSED))}, spent, (*remarks, AttemptFault.REFUSED)
        )
    sampled = choice.logprobs.sampled() if choice.logprobs else []
    top = sampled[0].likeliest() if sampled else {}
    if top:
        return ParsedAnswer({key: fields_of(spent, top=dict(top), model=answer.model)}, spent, remarks)
    if choice.reasoning or (choice.message is not None and choice.message.content is None):
        found = "the answer lists no likeliest tokens (logprobs): its only token went into reasoning"
        raise NoLogProbabilitiesError(answer.spent, found, AttemptFault.REASONING)
    raise NoLogProbabilitiesError(answer.spent, "the answer lists no likeliest tokens (logprobs)")


def read_embeddings(answer: EmbeddingAnswer, keys: Keys, bound: Usage) -> ParsedAnswer:
    """Return the vectors by the keys of their texts.

    Raises:
        MalformedAnswerError: whose vector is whose cannot be told.
    """
    data = answer.data or []
    spent, remarks = believed(answer, bound)
    named = [item.index for item in data]
    if len(data) == len(keys) and len(set(named)) == 1:  # null, or the same for all: as they were asked
        named = list(range(len(keys)))
    vectors = {index: item.embedding for index, item in zip(named, data, strict=True) if index in range(len(keys))}
    if len(set(named)) < len(named) or not vectors:
        found = f"embeddings of texts {named[:8]} where 0 to {len(keys) - 1} were asked"
        raise MalformedAnswerError(AttemptFault.MALFORMED, answer.spent, found)
    values = {
        keys[index]: fields_of(spent if place == 0 else None, vector=[*vector])
        for place, (index, vector) in enumerate(sorted(vectors.items()))
        if index is not None
    }
    return ParsedAnswer(values, spent, (*remarks, AttemptFault.FEWER_CHOICES) if len(values) < len(keys) else remarks)


def read_fields(text: str) -> Fields | None:
    """Return the fields of a kept answer; None where the text is none, as one written by hand."""
    try:
        fields: Fields = json.loads(text)
        Usage(*map(int, fields["usage"]))
        (kind,) = _KINDS.keys() & fields.keys()
        _KINDS[kind].validate_python(fields[kind])
        if kind == "text":
            read_completion(fields, 0)
    except (ValueError, TypeError, LookupError):
        return None
    return fields


_KINDS: dict[str, TypeAdapter[Any]] = {
    "text": TypeAdapter(str),
    "top": TypeAdapter(dict[str, float]),
    "tokens": TypeAdapter(list[tuple[int, int, float]]),
    "vector": TypeAdapter(list[float] | None),
}


def usage_in(fields: Fields) -> Usage:
    """Return what an answer cost when it was asked for (0 for all but the first of one request)."""
    return Usage(*fields["usage"])


def read_echo(answer: Answer, text: str, key: str, bound: Usage) -> ParsedAnswer:
    """Return the log-probabilities of an echoed text's tokens.

    Raises:
        NoLogProbabilitiesError: it is no echo, or lacks one.
    """
    tokens = _echoed_tokens(answer, text)
    if tokens is None:
        raise NoLogProbabilitiesError(answer.spent, "the answer does not echo the text's logprobs")
    spent, remarks = believed(answer, bound)
    return ParsedAnswer({key: fields_of(spent, tokens=tokens, model=answer.model)}, spent, remarks)


def _echoed_tokens(answer: Answer, text: str) -> list[JsonValue] | None:
    """Return [start, end, log-probability] of each token of the echoed text but the first; None if it is no echo."""
    choice = answer.whole[0]
    logprobs = choice.logprobs
    if logprobs is None or not (choice.text or "").startswith(text):
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
        if value is None or not -math.inf < value <= 0 or end < start:
            return None
        tokens.append([start, min(end, len(text)), value])
    return tokens


def fields_of(usage: Usage | None, **fields: JsonValue) -> Fields:
    """Return what is kept of an answer, with what it was billed (None: nothing of its own)."""
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
