"""The warning about choice questions that a model does not answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ilf_kedro.language_models.protocol import Choice, ChoiceProbabilities

__all__ = ["warn_of_undefined"]

logger = logging.getLogger(__name__)


def warn_of_undefined(
    model: str, answers: Sequence[ChoiceProbabilities], choices: Sequence[Choice], instead: str = ""
) -> None:
    """Warn of answers that are undefined: how many, how much their choices cover, and what the model says `instead`."""
    undefined = [answer for answer in answers if not answer.defined]
    if not undefined:
        return
    least, most = undefined[0].least_covered, max(answer.covered for answer in undefined)
    logger.warning(
        "%s: %d of %d answers are undefined: refused, or less than %g of the probability is on %s (at most %.2g)%s",
        model, len(undefined), len(answers), least, [choice.name for choice in choices], most, instead,
    )  # fmt: skip
