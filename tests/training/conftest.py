"""The tiny model as a base to train, and one torch thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.training.workspace import TrainingWorkspace


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def base(tiny_model_directory: Path) -> ModelSource:
    return ModelSource("tiny-random-llama", tiny_model_directory, revision="tiny-revision")


@pytest.fixture
def workspace(tmp_path: Path) -> TrainingWorkspace:
    return TrainingWorkspace(tmp_path / "trainings")
