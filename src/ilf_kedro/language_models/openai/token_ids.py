"""Exact probabilities of named tokens, where a server has them (vLLM's `logprob_token_ids`)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from ilf_kedro.language_models.openai.client import ApiClient
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.protocol import Choice
from ilf_kedro.schemas import UserError


class _Tokenized(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tokens: list[int]


def token_ids(client: ApiClient, options: ApiOptions, choices: Sequence[Choice]) -> list[int]:
    """Return the first token of every spelling of the choices, as the server tokenises them.

    Raises:
        ApiError: the server does not answer.
        UserError: what it answers are no tokens.
    """
    # The way to the tokenizer is not below the version of OpenAI's protocol.
    url = f"{options.base_url.rstrip('/').removesuffix('/v1')}/tokenize"
    found: dict[int, None] = {}
    for spelling in dict.fromkeys(spelling for choice in choices for spelling in choice.verbalizers):
        body = {"model": options.model, "prompt": spelling, "add_special_tokens": False}
        answer = client.guard(lambda body=body: client.openai.post(url, cast_to=object, body=body))  # type: ignore[misc]
        try:
            first, *_ = _Tokenized.model_validate(answer).tokens
        except (ValidationError, ValueError) as error:
            raise UserError(
                f"{url} does not say how {spelling!r} is tokenised (found {str(answer)[:80]!r}): `exact_choices` needs "
                "a server with vLLM's /tokenize and logprob_token_ids; leave it out for others"
            ) from error
        found[first] = None
    return list(found)
