from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.data_loader import SeedableRandomSampler
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.training.encoding import EncodedExample
from ilf_kedro.training.fitting import fit_language_model
from ilf_kedro.training.options import TrainingOptions
from ilf_kedro.training.step_sampling import StepSampler
from ilf_kedro.training.trainer import WeightedLossTrainer


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30), batch_size=st.integers(1, 8))
def test_a_step_is_drawn_at_random_and_goes_by_length(lengths: list[int], batch_size: int) -> None:
    drawn = list(SeedableRandomSampler(range(len(lengths)), data_seed=5))
    order = list(StepSampler(lengths, batch_size, seed=5))
    for start in range(0, len(lengths), batch_size):
        step = order[start : start + batch_size]
        assert sorted(step) == sorted(drawn[start : start + batch_size])
        found = [lengths[i] for i in step]
        assert found == sorted(found, reverse=True)


def test_epochs_differ_and_are_functions_of_the_seed() -> None:
    sampler = StepSampler([1] * 20, 4, seed=0)
    epochs = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    assert epochs[0] == epochs[2]
    assert epochs[0] != epochs[1]


def test_training_pads_little_and_each_epoch_has_every_example(
    base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two micro-batches of two: the two longest of each step stand together, in an order new to each epoch."""
    lengths = [9, 4, 6, 12, 5, 11, 8, 7]
    examples = [EncodedExample(np.arange(n, dtype=np.int32), 2, 0.0, truncated=False) for n in lengths]
    taken: list[list[int]] = []

    def collate(rows: Sequence[Any]) -> dict[str, torch.Tensor]:
        taken.append([row.n_tokens for row in rows])
        return original(rows)

    original = WeightedLossTrainer.collate
    monkeypatch.setattr(WeightedLossTrainer, "collate", staticmethod(collate))
    options = TrainingOptions(dtype="float32", batch_size=4, micro_batch_size=2, epochs=2)
    fit_language_model(base, examples, options, dtype="float32", seed=0, state_directory=tmp_path, label="arm")
    assert len(taken) == 8
    for long, short in zip(taken[::2], taken[1::2], strict=True):
        assert min(long) >= max(short)
    epochs = [[n for batch in half for n in batch] for half in (taken[:4], taken[4:])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(lengths)
    assert epochs[0] != epochs[1]
