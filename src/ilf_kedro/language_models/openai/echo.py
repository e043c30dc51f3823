"""Log-likelihoods from servers that echo the prompt's log-probabilities: whether one does, and reading them."""

from __future__ import annotations

import logging

from ilf_kedro.language_models.openai.client import ApiClient
from ilf_kedro.language_models.openai.errors import ApiRefusedError
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.openai.questions import echo_question, next_token_question
from ilf_kedro.language_models.openai.readers import Fields
from ilf_kedro.language_models.protocol import TokenLogProbabilities

logger = logging.getLogger(__name__)

_PROBE = "The days of the week are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and"
_TOLERANCE = 0.1  # nats; kernels differ between prompt and generation, a wrong position differs by far more


def probe_echo(client: ApiClient, options: ApiOptions) -> bool:
    """Ask the server, with two short requests, whether it echoes true log-probabilities.

    It does if the echo of a text gives its last token the log-probability that the list of likeliest next
    tokens gives the same token after the text before it.

    Raises:
        ApiError: the server refuses for a reason that has nothing to do with echo, such as a wrong key.
    """
    whole = echo_question(options, _PROBE, "echo")
    try:
        values = client.ask(whole.request(("echo",)), whole.reader(("echo",))).values
        start, end, echoed = values["echo"]["tokens"][-1]
        before = next_token_question(options, _PROBE[:start], "top")
        values = client.ask(before.request(("top",)), before.reader(("top",))).values
    except ApiRefusedError as error:
        if error.status in (401, 403, 404):
            raise
        logger.info("%s does not echo log-probabilities, so that log-likelihoods cannot be asked", options.base_url)
        logger.debug("It said: %s", error)
        return False
    listed = values["top"]["top"].get(_PROBE[start:end])
    truthful = listed is not None and abs(listed - echoed) < _TOLERANCE
    if not truthful:
        logger.warning(
            "%s echoes log-probabilities, but not those of its own next-token list (%.3f against %s): not used",
            options.base_url, echoed, listed,
        )  # fmt: skip
    return bool(truthful)


def continuation_part(fields: Fields, start: int) -> TokenLogProbabilities:
    """Return the tokens of an echoed text that end after the character `start`, with spans counted from there."""
    tokens = [token for token in fields["tokens"] if token[1] > start]
    return TokenLogProbabilities(
        tuple(float(value) for _, _, value in tokens),
        tuple((max(0, first - start), last - start) for first, last, _ in tokens),
    )


def whole_text(fields: Fields, start: int) -> TokenLogProbabilities:
    """Return all tokens of an echoed text but its first, with spans counted from the character `start`."""
    tokens = fields["tokens"]
    return TokenLogProbabilities(
        tuple(float(value) for _, _, value in tokens),
        tuple((first - start if last <= start else max(0, first - start), last - start) for first, last, _ in tokens),
    )
