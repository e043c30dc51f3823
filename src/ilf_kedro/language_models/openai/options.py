"""How to reach an OpenAI-compatible server: options, prices and the API key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import ConfigDict, Field, JsonValue, SecretStr, model_validator

from ilf_kedro.language_models.protocol import LEAST_COVERED
from ilf_kedro.schemas import Options

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OWN_PARAMETERS = frozenset(
    {"model", "messages", "prompt", "n", "best_of", "max_tokens", "max_completion_tokens", "temperature", "top_p"}
    | {"top_k", "stop", "seed", "logprobs", "top_logprobs", "echo", "stream"}
)
Omittable = Literal["temperature", "top_p", "top_k", "n", "stop", "seed", "max_tokens"]
OMITTABLE: tuple[Omittable, ...] = get_args(Omittable)
_NO_KEY = "no-key-needed"  # a server on this machine asks for none, the client insists on one


class ApiKeyMissingError(RuntimeError):
    """No API key was found in any of the places where one may be."""


class Price(Options):
    """USD per million tokens. The Batch API's price is `batch_factor` times it."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    batch_factor: float = Field(default=0.5, gt=0, le=1)


class ApiCredentials(Options):
    """The entry of credentials.yml; never shown, not even where it is invalid."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: SecretStr


class ApiOptions(Options):
    """One model on one server. Nothing has a default that names a provider or a model.

    `samples_per_request` is how many completions are asked for at once (1 for servers that ignore n);
    `prompts_per_request` how many prompts, for completions endpoints that take lists (vLLM's);
    `top_log_probabilities` how many alternatives the server lists per token (null: 20 for chat, 5 for
    completions; 0: it lists none, and choices cannot be asked); a choice answer whose choices have less
    than the probability `least_covered` in all is undefined. `exact_choices` asks a vLLM server's chat for the
    probabilities of the choices' own tokens instead of the likeliest ones. `omit` names options that the server refuses
    and that are left out, `extra_body` goes into every request as it is. `strip_reasoning` takes
    `<think>…</think>` out of the answers. Prompts longer than `max_prompt_characters` are truncated in the input.
    `timeout_seconds` is for a whole answer. `budget` is in USD and hard; `prices` maps model identifiers to
    prices.
    """

    # A key that was put here by mistake must not be shown by the error about it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str = Field(min_length=1)
    base_url: str
    endpoint: Literal["chat", "completions"] = "chat"
    send: Literal["online", "batch"] = "online"
    api_key_variable: str = "OPENAI_API_KEY"
    system_message: str | None = None
    embedding_model: str | None = None
    samples_per_request: int = Field(default=16, ge=1)
    prompts_per_request: int = Field(default=1, ge=1)
    top_log_probabilities: int | None = Field(default=None, ge=0, le=20)
    exact_choices: bool = False
    least_covered: float = Field(default=LEAST_COVERED, ge=0, lt=1)
    token_log_probabilities: bool = False
    max_tokens_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omit: tuple[Omittable, ...] = ()
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)
    strip_reasoning: bool = True
    max_prompt_characters: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=64, ge=1, le=256)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    timeout_seconds: float = Field(default=120.0, gt=0)
    max_retries: int = Field(default=6, ge=0)
    budget: float | None = Field(default=None, ge=0)
    prices: dict[str, Price] = Field(default_factory=dict)
    batch_poll_seconds: float = Field(default=30.0, gt=0)
    batch_wait_hours: float = Field(default=25.0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an address such as https://host/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("base_url must hold no user, password or query: keys belong in credentials.yml or .env")
        if taken := sorted(_OWN_PARAMETERS & set(self.extra_body) - set(self.omit)):
            raise ValueError(
                f"extra_body must not hold {taken}: each request sets these itself, unless `omit` names it"
            )
        if self.exact_choices and self.endpoint != "chat":
            raise ValueError("exact_choices needs `endpoint: chat`: servers take logprob_token_ids there alone")
        if self.prompts_per_request > 1 and self.endpoint != "completions":
            raise ValueError("prompts_per_request needs `endpoint: completions`: a chat holds one prompt")
        if "max_tokens" in self.omit and self.budget is not None:
            raise ValueError(
                "a budget is given, but `omit` leaves out max_tokens, so that no request has a highest price: send "
                "max_tokens, or leave out `budget`"
            )
        for model in self._billed_models():
            if self.budget is not None and model not in self.prices:
                raise ValueError(
                    f"a budget is given, but the price of {model!r} is unknown (prices has {sorted(self.prices)}): "
                    "add it to `prices` (USD per million tokens; zeros for a server of your own), or leave out `budget`"
                )
        return self

    @property
    def alternatives(self) -> int:
        """How many alternatives per token the server is asked for."""
        if self.top_log_probabilities is not None:
            return self.top_log_probabilities
        return 20 if self.endpoint == "chat" else 5

    @property
    def samples_each(self) -> int:
        """How many completions one request asks for."""
        return 1 if "n" in self.omit else self.samples_per_request

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return urlsplit(self.base_url).hostname in _LOOPBACK

    def _billed_models(self) -> list[str]:
        return [self.model] if self.embedding_model is None else [self.model, self.embedding_model]


def find_api_key(options: ApiOptions, credentials: ApiCredentials | None, env_file: Path = Path(".env")) -> SecretStr:
    """Return the key from the credentials, else the environment variable, else the `.env` file.

    A server on this machine needs none.

    Raises:
        ApiKeyMissingError: there is none in any of the three places.
    """
    if credentials is not None:
        return credentials.api_key
    variable = options.api_key_variable
    key = os.environ.get(variable) or (dotenv_values(env_file).get(variable) if env_file.is_file() else None)
    if key:
        return SecretStr(key.strip())
    if options.is_local:
        return SecretStr(_NO_KEY)
    raise ApiKeyMissingError(
        f"no API key for {options.base_url}: there are no credentials in the catalog entry, the environment variable "
        f"{variable} is empty, and {env_file} does not set it. Put the key in conf/local/credentials.yml "
        f"(api_key: ...) and name it in the catalog entry, or set {variable}."
    )
