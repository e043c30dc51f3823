"""Checkpoints in the catalog: complete or absent, whatever happens while they are saved."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from kedro.io import DatasetError, Version

from ilf_kedro.datasets import CheckpointDataset
from ilf_kedro.language_models.checkpoints.checkpoint import RECORD_FILE, Checkpoint

MakeCheckpoint = Callable[..., Checkpoint]
OLD, NEW = "2026-01-01T00.00.00.000Z", "2026-02-01T00.00.00.000Z"


def dataset(root: object, save: str | None = None, load: str | None = None, **options: object) -> CheckpointDataset:
    return CheckpointDataset(filepath=f"{root}/model", version=Version(load, save), **options)  # type: ignore[arg-type]


def weights(checkpoint: Checkpoint) -> bytes:
    return (checkpoint.directory / "model.safetensors").read_bytes()


@pytest.fixture(params=["local", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A root on each kind of file system, empty for each test."""
    if request.param == "local":
        return str(tmp_path / "catalog")
    if request.param == "s3":
        request.getfixturevalue("s3_environment")
        return f"s3://ilf/{tmp_path.name}"
    return f"memory:///{tmp_path.name}"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_saved_checkpoint_is_loaded_with_every_file_and_its_record(
    place: str, cache: Path, make_checkpoint: MakeCheckpoint
) -> None:
    made = make_checkpoint()
    dataset(place, OLD).save(made)

    loaded = dataset(place, local_cache=cache).load()

    assert loaded.record == made.record
    names = {path.relative_to(loaded.directory).as_posix() for path in loaded.directory.rglob("*") if path.is_file()}
    assert names == {"model.safetensors", "tokenizer/tokenizer.json", RECORD_FILE, "_COMPLETE"}
    for name in names - {"_COMPLETE"}:
        assert (loaded.directory / name).read_bytes() == (made.directory / name).read_bytes()


def test_the_marker_lists_every_file_with_its_size_and_hash(place: str, make_checkpoint: MakeCheckpoint) -> None:
    made = make_checkpoint()
    dataset(place, OLD).save(made)

    with fsspec.open(f"{place}/model/{OLD}/model/_COMPLETE") as file:
        manifest = json.load(file)

    assert manifest["content_hash"] == made.record.content_hash
    assert {entry["name"]: (entry["size"], entry["sha256"]) for entry in manifest["files"]} == {
        name: (len(content), hashlib.sha256(content).hexdigest())
        for name in ("model.safetensors", "tokenizer/tokenizer.json", RECORD_FILE)
        for content in [(made.directory / name).read_bytes()]
    }


def test_the_latest_complete_version_is_loaded_and_a_named_one_too(
    place: str, cache: Path, make_checkpoint: MakeCheckpoint
) -> None:
    dataset(place, OLD).save(make_checkpoint("a", b"old"))
    dataset(place, NEW).save(make_checkpoint("b", b"new"))

    assert weights(dataset(place, local_cache=cache).load()) == b"new"
    assert weights(dataset(place, load=OLD, local_cache=cache).load()) == b"old"
    assert dataset(place).list_versions(full_path=False) == [NEW, OLD]


def test_a_version_without_its_marker_does_not_exist(place: str, cache: Path, make_checkpoint: MakeCheckpoint) -> None:
    dataset(place, OLD).save(make_checkpoint("a", b"old"))
    dataset(place, NEW).save(make_checkpoint("b", b"new"))
    file_system, path = fsspec.core.url_to_fs(f"{place}/model/{NEW}/model/_COMPLETE")
    file_system.rm_file(path)

    assert weights(dataset(place, local_cache=cache).load()) == b"old"
    assert not dataset(place, load=NEW).exists()
    with pytest.raises(DatasetError, match=rf"incomplete.*\n?.*Complete versions: {OLD}\. Name one"):
        dataset(place, load=NEW).load()

    dataset(place, NEW).save(make_checkpoint("c", b"again"))  # what is incomplete may be saved again
    assert weights(dataset(place, local_cache=cache).load()) == b"again"


def test_where_nothing_was_saved_nothing_exists(place: str) -> None:
    assert not dataset(place).exists()
    with pytest.raises(DatasetError, match=r"there is no checkpoint at .*Complete versions: none"):
        dataset(place, load=OLD).load()
    with pytest.raises(DatasetError, match="Did not find any versions"):
        dataset(place).load()


def test_a_complete_version_is_never_overwritten(place: str, make_checkpoint: MakeCheckpoint) -> None:
    dataset(place, OLD).save(make_checkpoint("a"))
    with pytest.raises(DatasetError, match="must not exist"):
        dataset(place, OLD).save(make_checkpoint("b"))


def test_an_unversioned_checkpoint_is_replaced_as_a_whole(
    place: str, cache: Path, make_checkpoint: MakeCheckpoint
) -> None:
    unversioned = CheckpointDataset(filepath=f"{place}/model", local_cache=cache)
    assert not unversioned.exists()
    with pytest.raises(DatasetError, match="Run the pipeline that makes it"):
        unversioned.load()
    first = make_checkpoint("a", b"first")
    (first.directory / "only-in-the-first").touch()
    unversioned.save(first)
    assert unversioned.exists()
    unversioned.save(make_checkpoint("b", b"second"))

    loaded = unversioned.load()

    assert weights(loaded) == b"second"
    assert not (loaded.directory / "only-in-the-first").exists()
    file_system, path = fsspec.core.url_to_fs(f"{place}/model/only-in-the-first")
    assert not file_system.exists(path)


def test_what_was_loaded_can_be_saved_again(place: str, cache: Path, make_checkpoint: MakeCheckpoint) -> None:
    dataset(place, OLD).save(make_checkpoint("a", b"same"))
    dataset(place, NEW).save(dataset(place, local_cache=cache).load())
    assert weights(dataset(place, load=NEW, local_cache=cache).load()) == b"same"


def test_an_old_checkpoint_survives_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    unversioned = CheckpointDataset(filepath=tmp_path / "model")
    unversioned.save(make_checkpoint("a", b"first"))
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(DatasetError, match="Permission denied"):
        unversioned.save(make_checkpoint("b", b"second"))
    assert weights(unversioned.load()) == b"first"


def test_files_are_hard_links_locally_and_copies_where_links_fail(
    tmp_path: Path, make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_checkpoint()
    dataset(tmp_path, OLD).save(made)
    linked = dataset(tmp_path, load=OLD).load().directory / "model.safetensors"
    assert linked.samefile(made.directory / "model.safetensors")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    dataset(tmp_path, NEW).save(made)
    copied = dataset(tmp_path, load=NEW).load().directory / "model.safetensors"
    assert not copied.samefile(made.directory / "model.safetensors")
    assert copied.read_bytes() == linked.read_bytes()


def test_a_directory_without_a_record_is_refused(tmp_path: Path, make_checkpoint: MakeCheckpoint) -> None:
    made = make_checkpoint()
    (made.directory / RECORD_FILE).unlink()
    with pytest.raises(DatasetError, match=f"is no checkpoint: it has no {RECORD_FILE}"):
        dataset(tmp_path, OLD).save(made)
    assert not dataset(tmp_path).exists()


def test_a_truncated_local_file_is_noticed(tmp_path: Path, make_checkpoint: MakeCheckpoint) -> None:
    dataset(tmp_path, OLD).save(make_checkpoint())
    (tmp_path / "model" / OLD / "model" / "model.safetensors").write_bytes(b"w")
    with pytest.raises(DatasetError, match=r"model.safetensors: expected 7 bytes, found 1"):
        dataset(tmp_path).load()


class TestRemote:
    """What only a remote has: downloads, damage on the way, and uploads that stop."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> str:
        return f"memory:///{tmp_path.name}-remote"

    def test_it_is_downloaded_once(self, root: str, cache: Path, make_checkpoint: MakeCheckpoint) -> None:
        dataset(root, OLD).save(make_checkpoint())
        first = dataset(root, local_cache=cache).load()
        fsspec.filesystem("memory").rm_file(f"{root.removeprefix('memory://')}/model/{OLD}/model/model.safetensors")

        again = dataset(root, local_cache=cache).load()

        assert again == first
        assert first.directory.parent == cache

    def test_two_processes_may_download_at_once(
        self, root: str, cache: Path, make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dataset(root, OLD).save(make_checkpoint())
        mine, theirs = dataset(root, local_cache=cache), dataset(root, local_cache=cache)
        rename = Path.rename

        def come_second(path: Path, target: Path) -> Path:
            monkeypatch.undo()
            assert weights(theirs.load()) == b"weights"
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", come_second)
        assert weights(mine.load()) == b"weights"

    def test_a_damaged_download_is_refused_and_not_kept(
        self, root: str, cache: Path, make_checkpoint: MakeCheckpoint
    ) -> None:
        dataset(root, OLD).save(make_checkpoint(weights=b"weights"))
        path = f"{root.removeprefix('memory://')}/model/{OLD}/model/model.safetensors"
        fsspec.filesystem("memory").pipe_file(path, b"wEights")  # the same size
        with pytest.raises(DatasetError, match=r"is not what was saved .*model.safetensors: expected SHA-256"):
            dataset(root, local_cache=cache).load()
        assert not any(cache.rglob("model.safetensors"))

    def test_a_damaged_cache_is_downloaded_again(self, root: str, cache: Path, make_checkpoint: MakeCheckpoint) -> None:
        dataset(root, OLD).save(make_checkpoint())
        (dataset(root, local_cache=cache).load().directory / "model.safetensors").unlink()
        assert weights(dataset(root, local_cache=cache).load()) == b"weights"

    @pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
    def test_a_manifest_cannot_name_files_outside(
        self, root: str, cache: Path, make_checkpoint: MakeCheckpoint, name: str
    ) -> None:
        dataset(root, OLD).save(make_checkpoint())
        marker = f"{root.removeprefix('memory://')}/model/{OLD}/model/_COMPLETE"
        memory = fsspec.filesystem("memory")
        manifest = json.loads(memory.cat_file(marker))
        manifest["files"][0]["name"] = name
        memory.pipe_file(marker, json.dumps(manifest).encode())
        with pytest.raises(DatasetError, match="no path inside the checkpoint"):
            dataset(root, local_cache=cache).load()

    @pytest.mark.parametrize("after", [0, 1, 2])
    def test_an_interrupted_upload_leaves_the_previous_version_the_latest(
        self, root: str, cache: Path, make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch, after: int
    ) -> None:
        dataset(root, OLD).save(make_checkpoint("a", b"old"))
        interrupted = dataset(root, NEW)
        put, puts = interrupted._fs.put_file, []

        def fail_later(source: str, target: str) -> None:
            if len(puts) == after:
                raise ConnectionResetError("connection lost")
            puts.append(target)
            put(source, target)

        monkeypatch.setattr(interrupted._fs, "put_file", fail_later)
        with pytest.raises(DatasetError, match=r"could not save the checkpoint to memory://.*connection lost"):
            interrupted.save(make_checkpoint("b", b"new"))
        assert len(puts) == after
        assert dataset(root).list_versions(full_path=False) == [OLD]
        assert weights(dataset(root, local_cache=cache).load()) == b"old"


KILLED_WHILE_SAVING = """
    import sys, time
    from pathlib import Path
    from kedro.io import Version
    from ilf_kedro.datasets import CheckpointDataset, checkpoint_dataset
    from ilf_kedro.language_models.checkpoints.checkpoint import RECORD_FILE, Checkpoint, TrainingRecord

    root, version, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    dataset = CheckpointDataset(filepath=f"{root}/model", version=Version(None, version))

    def after_the_first(real):
        calls = []
        def call(*args, **kwargs):
            if calls:
                print("half-way", flush=True)
                time.sleep(600)
            calls.append(args)
            return real(*args, **kwargs)
        return call

    checkpoint_dataset.os.link = after_the_first(checkpoint_dataset.os.link)
    dataset._fs.put_file = after_the_first(dataset._fs.put_file)
    record = TrainingRecord.model_validate_json((directory / RECORD_FILE).read_bytes())
    dataset.save(Checkpoint(directory, record))
"""


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_killed_while_it_saves_the_previous_version_stays_the_latest(
    kind: str, tmp_path: Path, cache: Path, make_checkpoint: MakeCheckpoint, request: pytest.FixtureRequest
) -> None:
    variables = request.getfixturevalue("s3_environment") if kind == "s3" else {}
    root = f"s3://ilf/{tmp_path.name}" if kind == "s3" else str(tmp_path / "catalog")
    dataset(root, OLD).save(make_checkpoint("a", b"old"))
    new = make_checkpoint("b", b"new")

    arguments = [sys.executable, "-c", textwrap.dedent(KILLED_WHILE_SAVING), root, NEW, str(new.directory)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=os.environ | variables) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half-way\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL

    after = dataset(root, local_cache=cache)
    after._fs.invalidate_cache()
    assert after.list_versions(full_path=False) == [OLD]
    assert weights(after.load()) == b"old"
    dataset(root, NEW).save(new)
    assert weights(dataset(root, local_cache=cache).load()) == b"new"
