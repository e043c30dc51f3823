"""Under FSDP no process holds the whole: seen in what each one saves, which is what it holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from tests.training.test_distributed import fit


def held_by_each(folder: Path) -> tuple[Counter[str], int]:
    """Return how many numbers each process's file of a sharded checkpoint holds, and of how many the tensors are."""
    metadata = FileSystemReader(folder).read_metadata()
    tensors = {
        name: saved for name, saved in metadata.state_dict_metadata.items() if isinstance(saved, TensorStorageMetadata)
    }
    sizes = {(name, part.offsets): part.sizes.numel() for name, saved in tensors.items() for part in saved.chunks}
    held: Counter[str] = Counter()
    for place, stored in (metadata.storage_data or {}).items():
        if place.fqn in tensors:
            held[stored.relative_path] += sizes[place.fqn, place.offset]
    return held, sum(saved.size.numel() for saved in tensors.values())


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_each_of_two_processes_holds_half_of_weights_and_moments(
    base: ModelSource, tmp_path: Path, method: str
) -> None:
    fit(base, tmp_path, processes=2, parallelism="fsdp", method=method, save_steps=1, epochs=2)
    for part in ("pytorch_model_fsdp_0", "optimizer_0"):
        held, n_all = held_by_each(tmp_path / "fsdp" / "checkpoint-1" / part)
        assert n_all > 10_000
        assert len(held) == 2
        assert max(held.values()) == pytest.approx(n_all / 2, rel=0.01)
