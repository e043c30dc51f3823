"""What a reward model is: it says how good an output is (paper, appendix on reward models).

There are three kinds, and one scale. A reward lies between 0 and 1, and the log-odds of preferring one
output to another is the difference of the log-odds of their rewards (Bradley and Terry 1952).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ilf_kedro.schemas import text_or_empty

__all__ = ["Pair", "PairRewards", "RewardInput", "RewardModel", "RewardModelKind"]

RewardModelKind = Literal["yes_no", "classification", "a_b"]


@dataclass(frozen=True, slots=True)
class RewardInput:
    """An output, as a reward model reads it: beside the inputs of its example, by name."""

    example_id: str
    inputs: Mapping[str, str]
    output: str

    @classmethod
    def of(cls, example: Mapping[Any, Any], output: str) -> RewardInput:
        """Return an output for an example; `example` is a row with its example_id and its inputs."""
        texts = {str(name): text_or_empty(value) for name, value in example.items() if name != "example_id"}
        return cls(str(example["example_id"]), texts, output)


@dataclass(frozen=True, slots=True)
class PairRewards:
    """The rewards of two outputs for one input, which tell the probability that the first is preferred.

    `in_orders`: that probability where the first output was shown first, and where it was shown second;
    None for a reward model that reads each output alone.
    """

    first: float
    second: float
    in_orders: tuple[float, float] | None = None


Pair = tuple[RewardInput, RewardInput]


class RewardModel(Protocol):
    """What rewards outputs. Rewards come back in the order asked, each between 0 and 1, or NaN for no answer."""

    @property
    def name(self) -> str:
        """The language model's name, for logs and reports."""
        ...

    def rewards(self, outputs: Sequence[RewardInput], *, label: str = "rewards") -> list[float]:
        """Return each output's reward, which depends on it and its inputs alone."""
        ...

    def compare(self, pairs: Sequence[Pair], *, label: str = "rewards") -> list[PairRewards]:
        """Return the rewards of both outputs of each pair, as they stand to each other."""
        ...
