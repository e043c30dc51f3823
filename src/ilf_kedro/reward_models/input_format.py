"""The exact input of a reward model that was released: the tokens that it must begin and end with."""

from __future__ import annotations

from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.protocol import LanguageModel
from ilf_kedro.prompting import Prompt, PromptTemplate
from ilf_kedro.schemas import UserError

__all__ = ["InputFormatError", "check_input_format"]


class InputFormatError(UserError):
    """A model's tokenizer does not give the tokens that a prompt file asks for."""


def check_input_format(model: LanguageModel, template: PromptTemplate, prompt: Prompt) -> None:
    """Check that a prompt of `template` begins and ends with the tokens that the template names.

    What stands between them does not change them: the first is the tokenizer's own, and the last the end of the
    template's text. So one short prompt is enough.

    Raises:
        InputFormatError: saying what was found in their place, and what to change.
    """
    if not isinstance(model, LocalLanguageModel):
        raise InputFormatError(
            f"the prompt file asks for exact tokens ({template.first_token!r} first, {template.last_token!r} last), "
            f"which only a local model can promise; {model.name!r} is none. Name another reward_model.prompt"
        )
    formatter = model.formatter
    tokenizer = formatter.tokenizer
    tokens = formatter.prompt(prompt, 1).tokens
    found = dict(zip(("begins", "ends"), tokenizer.convert_ids_to_tokens([tokens[0], tokens[-1]]), strict=True))
    ids = {"begins": tokens[0], "ends": tokens[-1]}
    faults = []
    for place, expected in (("begins", template.first_token), ("ends", template.last_token)):
        if expected is None:
            continue
        wanted = tokenizer.convert_tokens_to_ids(expected)
        if wanted != ids[place]:
            faults.append(f"it {place} with {found[place]!r} (id {ids[place]}) instead of {expected!r} (id {wanted})")
    if faults:
        raise InputFormatError(
            f"the reward model {model.name!r} was trained on one exact input, which its prompt is not: "
            f'{" and ".join(faults)}. Set `format: plain` in its catalog entry; `"add_bos_token": true` in its '
            f"tokenizer_config.json gives the first token ({model.source.directory}); and leave the prompt file's "
            "text as it is"
        )
