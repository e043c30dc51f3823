"""How several processes divide the examples: as one process takes them, and the last batch filled up for all.

Each process needs a micro-batch of each turn, also where an epoch's examples are too few for that. A repeated
example would change the loss; a filler weighs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import Sampler

from ilf_kedro.training.encoding import EncodedExample, EncodedPair


def with_filler(
    examples: Sequence[EncodedExample] | Sequence[EncodedPair],
) -> list[EncodedExample] | list[EncodedPair]:
    """Return the examples, and last a filler: a copy of the first one that counts for nothing."""
    first = examples[0]
    if isinstance(first, EncodedExample):
        filler = replace(first, label_start=len(first.input_ids), prompt_loss_weight=0.0)
        return [*examples, filler]
    return [*examples, replace(first, weight=0.0)]


class FillingSampler(Sampler[int]):
    """The random order that one process would take, then the filler's index until the count is a multiple."""

    def __init__(self, n_examples: int, multiple_of: int, seed: int) -> None:
        self._order = SeedableRandomSampler(range(n_examples), data_seed=seed)
        self._n_fillers = -n_examples % multiple_of
        self._filler = n_examples

    def __iter__(self) -> Iterator[int]:
        yield from self._order
        yield from [self._filler] * self._n_fillers

    def __len__(self) -> int:
        return len(self._order) + self._n_fillers

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self._order.set_epoch(epoch)
