"""How the local backend computes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ilf_kedro.language_models.protocol import LEAST_COVERED
from ilf_kedro.schemas import Options

Device = Literal["auto", "cpu", "cuda", "mps"]


class LocalOptions(Options):
    """How the local backend computes; none of it but the device enters the answers' cache keys.

    A batch has at most `max_batch_tokens` unique prompt tokens and `max_batch_samples` samples decoded
    together. `embeddings` offers the capability embed: the mean of the last hidden states.
    A choice answer whose choices have less than the probability `least_covered` in all is undefined.
    """

    max_batch_tokens: int = Field(default=8192, ge=1)
    max_batch_samples: int = Field(default=64, ge=1)
    device: Device = "auto"
    embeddings: bool = False
    least_covered: float = Field(default=LEAST_COVERED, ge=0, lt=1)


class SentenceEmbedderOptions(Options):
    """How the encoder computes; of this, the device enters the answers' cache keys.

    A batch has at most `max_batch_tokens` tokens before padding, and `max_batch_texts` texts.
    """

    max_batch_tokens: int = Field(default=8192, ge=1)
    max_batch_texts: int = Field(default=64, ge=1)
    device: Device = "auto"
