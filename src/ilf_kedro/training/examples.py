"""What a language model is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from ilf_kedro.language_models.checkpoints.checkpoint import Format
from ilf_kedro.prompting import Prompt


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A prompt and the completion to imitate (the label, never truncated).

    In plain format the completion includes its leading blank; an end-of-sequence token is added when
    `ends` is true (outputs end; the answer words of reward models do not).
    """

    prompt: Prompt
    completion: str
    ends: bool = True


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """What a scalar reward model reads of the preferred of two outputs, and of the other one."""

    preferred: Prompt
    other: Prompt


def as_completion(text: str, model_format: Format) -> str:
    """Return `text` as a model of `model_format` writes it after a prompt.

    In plain format a blank separates it from the prompt's last word; in chat format it opens the turn.
    """
    return text if model_format == "chat" else f" {text}"
