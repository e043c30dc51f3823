"""The training workspace in the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DatasetError

from ilf_kedro.datasets import TrainingWorkspaceDataset


def test_it_gives_the_workspace_of_its_directory(tmp_path: Path) -> None:
    dataset = TrainingWorkspaceDataset(filepath=tmp_path / "trainings")
    workspace = dataset.load()
    assert workspace.directory == tmp_path / "trainings"
    assert workspace.find("unknown") is None
    assert dataset.exists()


def test_relative_paths_begin_at_the_project(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_root / "tests")
    assert TrainingWorkspaceDataset(filepath="data/w").load().directory == project_root / "data" / "w"


def test_a_remote_place_is_refused() -> None:
    with pytest.raises(DatasetError, match="must be a local directory, found s3://bucket/w"):
        TrainingWorkspaceDataset(filepath="s3://bucket/w")


def test_it_is_read_only(tmp_path: Path) -> None:
    dataset = TrainingWorkspaceDataset(filepath=tmp_path)
    with pytest.raises(DatasetError, match="trainings fill it themselves"):
        dataset.save(dataset.load())
