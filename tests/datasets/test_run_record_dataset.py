"""The catalog entries of the run record: one per run, replaced while it grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kedro.io import DatasetError, Version

from ilf_kedro.datasets.run_record import CurrentRunRecordDataset, RunRecordDataset
from tests.support.run_records import RECORD


@pytest.mark.parametrize("protocol", ["", "memory:/"])
def test_a_record_replaces_the_one_of_its_own_run_only(tmp_path: Path, protocol: str) -> None:
    def dataset(load: str | None, save: str | None) -> RunRecordDataset:
        return RunRecordDataset(filepath=f"{protocol}{tmp_path}/run_record.json", version=Version(load, save))

    first, second, third = (f"2026-01-0{day}T00.00.00.000Z" for day in (1, 2, 3))
    assert not dataset(None, first).exists()
    dataset(None, first).save(RECORD)
    dataset(None, first).save(RECORD.model_copy(update={"outcome": "succeeded"}))
    dataset(None, second).save(RECORD.model_copy(update={"run_id": "second"}))
    assert dataset(None, third).load().run_id == "second"
    assert dataset(first, None).load().outcome == "succeeded"
    assert list(tmp_path.rglob("*.tmp")) == []


def test_an_unversioned_record_is_replaced(tmp_path: Path) -> None:
    dataset = RunRecordDataset(filepath=str(tmp_path / "record.json"))
    dataset.save(RECORD)
    dataset.save(RECORD.model_copy(update={"outcome": "failed"}))
    assert dataset.load().outcome == "failed"
    assert json.loads(dataset.preview())["outcome"] == "failed"


def test_the_record_in_progress_cannot_be_saved() -> None:
    dataset = CurrentRunRecordDataset(lambda: RECORD)
    assert dataset.load() is RECORD
    assert dataset.exists()
    with pytest.raises(DatasetError):
        dataset.save(RECORD)  # type: ignore[arg-type]
