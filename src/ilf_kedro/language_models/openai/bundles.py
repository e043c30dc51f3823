"""Several prompts in one request, for completions endpoints that take lists of them (vLLM's, OpenAI's)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from pydantic import JsonValue

from ilf_kedro.language_models.openai.answers import Answer, MalformedAnswerError, read_answer
from ilf_kedro.language_models.openai.cost_tracker import AttemptFault, Usage
from ilf_kedro.language_models.openai.questions import Question
from ilf_kedro.language_models.openai.readers import Fields, Keys, ParsedAnswer, believed
from ilf_kedro.language_models.openai.requests import ApiRequest
from ilf_kedro.language_models.openai.runner import PendingRequest

__all__ = ["bundled"]

Part = tuple[Question, tuple[str, ...]]  # one prompt, and the keys that it is to fill


def bundled(unsent: Sequence[PendingRequest], prompts_per_request: int) -> list[PendingRequest]:
    """Join requests of one prompt each that ask for equally many completions, so many prompts to a request."""
    if prompts_per_request == 1:
        return [*unsent]
    joined = []
    for _, alike in groupby(unsent, key=lambda each: len(each.keys)):
        own = list(alike)
        for start in range(0, len(own), prompts_per_request):
            chosen = own[start : start + prompts_per_request]
            joined.append(_joined(chosen) if len(chosen) > 1 else chosen[0])
    return joined


def _joined(unsent: Sequence[PendingRequest]) -> PendingRequest:
    owner = {key: each.question for each in unsent for key in each.keys}

    def parts(keys: Keys) -> list[Part]:
        """Return the prompts that one request can hold: all if they lack equally many completions, else the first."""
        lacking = [(each.question, tuple(key for key in each.keys if key in set(keys))) for each in unsent]
        found = [(question, own) for question, own in lacking if own]
        return found if len({len(own) for _, own in found}) == 1 else found[:1]

    def request(keys: Keys) -> ApiRequest:
        requests = [question.request(own) for question, own in parts(keys)]
        first = requests[0]
        if len(requests) == 1:
            return first
        prompts: JsonValue = [each.body["prompt"] for each in requests]
        return ApiRequest(
            first.path,
            {**first.body, "prompt": prompts},
            first.model,
            sum((each.estimate for each in requests), Usage()),
            sum((each.bound for each in requests), Usage()),
        )

    def read(body: bytes, keys: Keys) -> ParsedAnswer:
        found = parts(keys)
        if len(found) == 1:
            ((question, own),) = found
            return question.read(body, own)
        return _read(body, found, request(keys).bound)

    keys = tuple(key for each in unsent for key in each.keys)
    # Each key's blank is its own work's; all of one question have the same.
    return PendingRequest(Question(keys, request, read, owner[keys[0]].blank, len(keys), one_prompt=False), keys)


def _read(body: bytes, parts: Sequence[Part], bound: Usage) -> ParsedAnswer:
    """Read each prompt's choices as an answer of its own; prompts without any are asked for again.

    Raises:
        MalformedAnswerError: no prompt has one; the first prompt's.
    """
    answer = read_answer(body, Answer)
    spent, remarks = believed(answer, bound)
    values: dict[str, Fields] = {}
    faults: list[AttemptFault] = [*remarks]
    errors: list[MalformedAnswerError] = []
    for (question, own), part in zip(parts, _split(body, [len(own) for _, own in parts], spent), strict=True):
        try:
            if part is None:
                raise MalformedAnswerError(AttemptFault.FEWER_CHOICES, None, "no choice of one of several prompts")
            found = question.read(json.dumps(part).encode(), own)
        except MalformedAnswerError as error:
            errors.append(error)
            faults.append(error.fault)
            continue
        values |= found.values
        # What was billed is known of all prompts together, and looked at above.
        faults += [
            fault for fault in found.remarks if fault not in (AttemptFault.NO_USAGE, AttemptFault.INCREDIBLE_USAGE)
        ]
    if not values:
        first = errors[0]
        raise MalformedAnswerError(first.fault, spent, first.words.message, attempts=first.attempts)
    return ParsedAnswer(values, spent, tuple(faults))


def _split(body: bytes, sizes: Sequence[int], spent: Usage | None) -> Iterator[Mapping[str, JsonValue] | None]:
    """Yield each prompt's part of an answer, None where it has no choice; tokens are shared out by length.

    Raises:
        MalformedAnswerError: the choices do not say which prompt they are of.
    """
    whole = json.loads(body.decode("utf-8", "replace"))
    choices = whole["choices"]
    indices = [choice.get("index") for choice in choices]
    if len(set(indices)) < len(indices) or not all(index in range(sum(sizes)) for index in indices):
        raise MalformedAnswerError(AttemptFault.MALFORMED, spent, f"choices {indices[:8]} of {len(sizes)} prompts")
    size = sizes[0]  # all are equal
    own = [[choice for choice in choices if choice["index"] // size == place] for place in range(len(sizes))]
    lengths = np.array([sum(len(choice.get("text") or "") for choice in each) for each in own], dtype=float)
    shares = np.cumsum(lengths) / max(1.0, lengths.sum())
    written = np.diff(np.round(shares * (spent.output_tokens if spent else 0)), prepend=0).astype(int)
    read = np.diff(np.round(np.arange(1, len(own) + 1) / len(own) * (spent.input_tokens if spent else 0)), prepend=0)
    for place, each in enumerate(own):
        if not each:
            yield None
            continue
        usage: JsonValue = {"prompt_tokens": int(read[place]), "completion_tokens": int(written[place])}
        renumbered: JsonValue = [{**choice, "index": choice["index"] - place * size} for choice in each]
        yield {"choices": renumbered, "usage": usage if spent else None, "model": whole.get("model")}
