"""A stand-in for S3 on this machine, and a small checkpoint to save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ilf_kedro.language_models.checkpoints.checkpoint import RECORD_FILE, Checkpoint
from tests.support.training_records import training_record


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a moto server with the bucket `ilf`."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="ilf")
    yield address
    server.stop()


@pytest.fixture
def s3_environment(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The usual AWS variables, set for this test, and no cached connection from another."""
    import s3fs

    variables = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield variables
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Checkpoint]:
    """Make a directory as a training leaves it: weights, a nested tokenizer folder, and the record."""

    def make(name: str = "a", weights: bytes = b"weights") -> Checkpoint:
        directory = tmp_path / "trained" / name
        (directory / "tokenizer").mkdir(parents=True)
        (directory / "model.safetensors").write_bytes(weights)
        (directory / "tokenizer" / "tokenizer.json").write_text("{}", encoding="utf-8")
        record = training_record(content_hash=f"hash-{name}", kind="full", method="refinements", n_examples=2)
        (directory / RECORD_FILE).write_text(record.model_dump_json(), encoding="utf-8")
        return Checkpoint(directory, record)

    return make
