from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from ilf_kedro.language_models.checkpoints.checkpoint import RECORD_FILE
from ilf_kedro.language_models.checkpoints.manifest import MARKER
from ilf_kedro.training.workspace import TrainingWorkspace
from tests.support.training_records import training_record

RECORD = training_record(content_hash="abc")


def write_weights(directory: Path) -> None:
    (directory / "weights").write_text("42")


def test_what_is_published_is_found_with_its_record(workspace: TrainingWorkspace) -> None:
    assert workspace.find("abc") is None
    published = workspace.publish(RECORD, write_weights)
    found = workspace.find("abc")
    assert found == published
    assert found is not None
    assert found.record == RECORD
    assert (found.directory / "weights").read_text() == "42"


def test_a_failed_write_leaves_no_checkpoint_and_keeps_the_unfinished_state(workspace: TrainingWorkspace) -> None:
    state = workspace.partial("abc")
    (state / "checkpoint-2").mkdir()

    def fail(directory: Path) -> None:
        (directory / "weights").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        workspace.publish(RECORD, fail)
    assert workspace.find("abc") is None
    assert (workspace.partial("abc") / "checkpoint-2").is_dir()
    assert not (workspace.publish(RECORD, write_weights).directory / "checkpoint-2").exists()
    assert not state.exists()


def test_publishing_again_replaces_the_whole_folder(workspace: TrainingWorkspace) -> None:
    workspace.publish(training_record(content_hash="abc", seed=1), lambda directory: (directory / "old").touch())
    workspace.publish(training_record(content_hash="abc", seed=2), write_weights)
    found = workspace.find("abc")
    assert found is not None
    assert found.record.seed == 2
    assert sorted(path.name for path in found.directory.iterdir()) == sorted([MARKER, RECORD_FILE, "weights"])
    assert [path.name for path in workspace.directory.iterdir()] == ["abc"]


@pytest.mark.parametrize("damage", [MARKER, RECORD_FILE])
def test_a_checkpoint_without_marker_or_record_does_not_exist(workspace: TrainingWorkspace, damage: str) -> None:
    (workspace.publish(RECORD, write_weights).directory / damage).unlink()
    assert workspace.find("abc") is None


def test_an_unreadable_record_is_named_in_the_log(
    workspace: TrainingWorkspace, caplog: pytest.LogCaptureFixture
) -> None:
    (workspace.publish(RECORD, write_weights).directory / RECORD_FILE).write_text('{"content_hash": "abc"')
    assert workspace.find("abc") is None
    assert RECORD_FILE in caplog.text


def test_fresh_state_is_empty(workspace: TrainingWorkspace) -> None:
    (workspace.partial("abc") / "checkpoint-2").mkdir()
    assert list(workspace.partial("abc", fresh=True).iterdir()) == []


def _hold(directory: Path, holding: object, release: object) -> None:
    with TrainingWorkspace(directory).lock("abc"):
        holding.set()  # type: ignore[attr-defined]
        release.wait()  # type: ignore[attr-defined]


def test_the_lock_of_a_killed_process_is_free_again(workspace: TrainingWorkspace) -> None:
    from filelock import FileLock, Timeout

    context = multiprocessing.get_context("fork")
    holding, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(workspace.directory, holding, release))
    process.start()
    assert holding.wait(120)
    (lock_file,) = workspace.directory.glob(".*.lock")
    with pytest.raises(Timeout):
        FileLock(lock_file).acquire(timeout=0)
    process.kill()
    process.join()
    with workspace.lock("abc"):
        pass
