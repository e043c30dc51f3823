"""How examples are divided among optimiser steps, their micro-batches, and processes.

Which examples a step has is drawn at random; within a step they go by length, so that a micro-batch has little
padding: the loss is normalised over the whole step, so their order there does not change it.
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
        filler = replace(first, label_start=first.n_tokens, prompt_loss_weight=0.0)
        return [*examples, filler]
    return [*examples, replace(first, weight=0.0)]


class StepSampler(Sampler[int]):
    """Examples in random order, the `batch_size` of each optimiser step from the longest to the shortest.

    `lengths` are the examples'. At the end comes the index after the last example (the filler's), until the
    count is a multiple of `multiple_of`.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, *, multiple_of: int = 1) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._order = SeedableRandomSampler(range(len(lengths)), data_seed=seed)
        self._n_fillers = -len(lengths) % multiple_of

    def __iter__(self) -> Iterator[int]:
        order = list(self._order)
        for start in range(0, len(order), self._batch_size):
            yield from sorted(order[start : start + self._batch_size], key=self._lengths.__getitem__, reverse=True)
        yield from [len(self._lengths)] * self._n_fillers

    def __len__(self) -> int:
        return len(self._lengths) + self._n_fillers

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self._order.set_epoch(epoch)
