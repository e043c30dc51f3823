"""The questions to an API as pieces of work: which cache keys they fill, by which requests, read how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ilf_kedro.language_models.cache.codecs import completion_fields
from ilf_kedro.language_models.openai import requests
from ilf_kedro.language_models.openai.answers import (
    Answer,
    EmbeddingAnswer,
    read_answer,
)
from ilf_kedro.language_models.openai.cost_tracker import AttemptFault
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.readers import (
    CompletionReader,
    Fields,
    Keys,
    ParsedAnswer,
    fields_of,
    read_echo,
    read_embeddings,
    read_next_token,
)
from ilf_kedro.language_models.openai.requests import ApiRequest
from ilf_kedro.language_models.protocol import Completion, SamplingOptions

EMBEDDINGS_PER_REQUEST = 64


@dataclass(frozen=True, slots=True)
class Question:
    """Cache keys to fill, so many with one request.

    `request` gives the request that fills some of the keys; `read` takes its answer's body and the same
    keys, and returns the values of at least one of them, or raises MalformedAnswerError; `blank` is the value
    of a key whose prompt the server will not answer. `one_prompt`: all keys are of the same prompt.
    """

    keys: tuple[str, ...]
    request: Callable[[Keys], ApiRequest]
    read: Callable[[bytes, Keys], ParsedAnswer]
    blank: Callable[[AttemptFault], Fields]
    keys_per_request: int = 1
    one_prompt: bool = True

    def reader(self, keys: Keys) -> Callable[[bytes], ParsedAnswer]:
        """Return `read` for the answer that is to fill these keys."""
        return lambda body: self.read(body, keys)


def generation_question(
    options: ApiOptions, text: str, sampling: SamplingOptions, *, example_id: str, seed: int, samples: Mapping[str, int]
) -> Question:
    """Complete one prompt; `samples` maps keys to sample indices. Unanswered, it is refused."""

    def first_seed(keys: Keys) -> int:
        return requests.sample_seed(seed, example_id, samples[keys[0]])

    def request(keys: Keys) -> ApiRequest:
        return requests.generation_request(options, text, sampling, samples=len(keys), seed=first_seed(keys))

    def read(body: bytes, keys: Keys) -> ParsedAnswer:
        reader = CompletionReader(options, sampling, first_seed(keys))
        return reader.read(read_answer(body, Answer), keys, request(keys).bound)

    def blank(fault: AttemptFault) -> Fields:
        return fields_of(None, **completion_fields(Completion("", 0, "refused", seed)), seed=seed, why=str(fault))

    return Question(tuple(samples), request, read, blank, options.samples_each)


def next_token_question(options: ApiOptions, text: str, key: str, token_ids: Sequence[int] = ()) -> Question:
    """Ask for the likeliest next tokens after one prompt, or for those named; unanswered, none is known."""

    def request(keys: Keys) -> ApiRequest:
        del keys  # there is one
        return requests.next_token_request(options, text, token_ids)

    def read(body: bytes, keys: Keys) -> ParsedAnswer:
        return read_next_token(read_answer(body, Answer), keys[0], request(keys).bound)

    return Question((key,), request, read, lambda fault: fields_of(None, top={}, why=str(fault)))


def echo_question(options: ApiOptions, text: str, key: str) -> Question:
    """Ask for the log-probabilities of one text's own tokens; unanswered, they are none."""

    def request(keys: Keys) -> ApiRequest:
        del keys  # there is one
        return requests.echo_request(options, text)

    def read(body: bytes, keys: Keys) -> ParsedAnswer:
        return read_echo(read_answer(body, Answer), text, keys[0], request(keys).bound)

    return Question((key,), request, read, lambda fault: fields_of(None, tokens=[], why=str(fault)))


def embedding_question(options: ApiOptions, texts: Mapping[str, str]) -> Question:
    """Ask for the vectors of texts by key; unanswered, a text has none."""

    def request(keys: Keys) -> ApiRequest:
        return requests.embedding_request(options, [texts[key] for key in keys])

    def read(body: bytes, keys: Keys) -> ParsedAnswer:
        return read_embeddings(read_answer(body, EmbeddingAnswer), keys, request(keys).bound)

    blank = partial(fields_of, None, vector=None)
    return Question(
        tuple(texts), request, read, lambda fault: blank(why=str(fault)), EMBEDDINGS_PER_REQUEST, one_prompt=False
    )
