"""The requests that an OpenAI-compatible server is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from pydantic import JsonValue

from ilf_kedro.language_models.openai.cost_tracker import Usage
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Message, Prompt, Transcript

MAX_STOPS = 4  # what OpenAI's API takes; more are applied to the text that comes back
_CHARACTERS_PER_TOKEN = 4.0  # English, for forecasts only
_UNLIMITED_TOKENS = 131_072  # what one request may be answered with where no limit is sent
_TEMPLATE_TOKENS = 256  # more than a chat template adds, for bounds


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request's path and body, and the tokens that it may use.

    `estimate` is likely (output tokens at most); `bound` is never exceeded: no token is shorter than a byte.
    """

    path: str
    body: dict[str, JsonValue]
    model: str
    estimate: Usage
    bound: Usage


def generation_request(
    options: ApiOptions, text: str, sampling: SamplingOptions, *, samples: int, seed: int
) -> ApiRequest:
    """Ask for `samples` completions of one prompt."""
    body: dict[str, JsonValue] = {
        **_prompt_part(options, text),
        options.max_tokens_parameter: sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "n": samples,
    }
    if sampling.top_k:
        body["top_k"] = sampling.top_k
    if sampling.stop:
        body["stop"] = list(sampling.stop[:MAX_STOPS])
    body["seed"] = seed
    if options.token_log_probabilities:
        body["logprobs"] = True if options.endpoint == "chat" else 1
    return _request(options, body, text, samples * sampling.max_new_tokens)


def next_token_request(options: ApiOptions, text: str, token_ids: Sequence[int] = ()) -> ApiRequest:
    """Ask for one token and its likeliest alternatives, at temperature 1: some servers scale what they list.

    With `token_ids`, ask for the log-probabilities of these tokens instead of the likeliest.
    """
    body: dict[str, JsonValue] = {
        **_prompt_part(options, text),
        options.max_tokens_parameter: 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "n": 1,
    }
    if token_ids:
        body |= {"logprobs": True, "logprob_token_ids": [*token_ids]}
    elif options.endpoint == "chat":
        body |= {"logprobs": True, "top_logprobs": options.alternatives}
    else:
        body["logprobs"] = options.alternatives
    return _request(options, body, text, 1)


def echo_request(options: ApiOptions, text: str) -> ApiRequest:
    """Ask for the log-probabilities of the text itself; one token is sampled, as some servers insist on it."""
    body: dict[str, JsonValue] = {
        **_prompt_part(options, text),
        options.max_tokens_parameter: 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "echo": True,
        "logprobs": 1,
    }
    return _request(options, body, text, 1)


def embedding_request(options: ApiOptions, texts: list[str]) -> ApiRequest:
    """Ask for one vector per text."""
    model = cast(str, options.embedding_model)
    joined = "".join(texts)
    estimate, bound = _tokens(joined, 0, 0), _tokens(joined, 0, 8 * len(texts), bound=True)
    return ApiRequest("/embeddings", {"model": model, "input": cast(JsonValue, texts)}, model, estimate, bound)


def sample_seed(seed: int, example_id: str, sample_index: int) -> int:
    """Derive the seed (31 bits) of one sample from the run's seed, the example and the sample's index."""
    digest = hashlib.sha256(f"{seed}|{example_id}|{sample_index}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def shorten(prompt: Prompt, max_characters: int | None) -> tuple[Prompt, bool]:
    """Truncate the input from its end, or a conversation's oldest turns, until the text fits, as far as that goes.

    Returns the prompt, and whether it was cut.
    """
    excess = 0 if max_characters is None else len(prompt.text) - max_characters
    if excess <= 0 or prompt.truncatable is None:
        return prompt, False
    if prompt.droppable:
        shorter = list(prompt.shortened())
        if not shorter:
            return prompt, False
        texts = [Transcript.of(turns) for turns in shorter]
        place = next((n for n, text in enumerate(texts) if len(text) <= (max_characters or 0)), len(texts) - 1)
        return replace(prompt, text=str(texts[place]), chat=shorter[place]), True
    start, end = prompt.truncatable
    if prompt.turns:
        kept = next((turn for turn in prompt.turns if turn - start >= excess), prompt.turns[-1])
        return prompt.without((start, kept)), kept > start
    return prompt.without((max(start, end - excess), end)), end > start


def sendable(text: str) -> str:
    """Return the text with half a surrogate pair, which no request can carry, as U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def cut_at_stop(text: str, stops: tuple[str, ...]) -> tuple[str, bool]:
    """Cut the text before the first stop text in it, and say whether there was one."""
    positions = [position for stop in stops if (position := text.find(stop)) >= 0]
    return (text[: min(positions)], True) if positions else (text, False)


def _prompt_part(options: ApiOptions, text: str) -> dict[str, JsonValue]:
    if options.endpoint == "completions":
        return {"prompt": text}
    system: list[JsonValue] = (
        [] if options.system_message is None else [{"role": "system", "content": options.system_message}]
    )
    turns = text.turns if isinstance(text, Transcript) else (Message("user", text),)
    if turns[0].role in ("system", "developer"):  # the conversation's own
        system = []
    said: list[JsonValue] = [{"role": turn.role, "content": turn.content} for turn in turns]
    return {"messages": [*system, *said]}


def _request(options: ApiOptions, body: dict[str, JsonValue], text: str, max_output: int) -> ApiRequest:
    path = "/chat/completions" if options.endpoint == "chat" else "/completions"
    full_text = text + (options.system_message or "")
    left_out = {options.max_tokens_parameter if name == "max_tokens" else name for name in options.omit}
    sent = {name: value for name, value in body.items() if name not in left_out}
    at_most = max(max_output, _UNLIMITED_TOKENS) if options.max_tokens_parameter in left_out else max_output
    return ApiRequest(
        path,
        {"model": options.model, **sent, **options.extra_body},
        options.model,
        _tokens(full_text, max_output, 8),
        _tokens(full_text, at_most, _TEMPLATE_TOKENS, bound=True),
    )


def _tokens(text: str, max_output: int, overhead: int, *, bound: bool = False) -> Usage:
    size = len(text.encode("utf-8", "surrogatepass")) if bound else round(len(text) / _CHARACTERS_PER_TOKEN)
    return Usage(size + overhead, max_output)
