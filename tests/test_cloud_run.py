"""The whole loop with everything that is versioned on S3 (moto's server), and read back from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from whole_project import WholeProject

TINY = ["conf/test/catalog_language_models.yml", "conf/test/parameters.yml"]


@pytest.fixture
def bucket() -> Iterator[tuple[object, dict[str, str]]]:
    """A bucket on a server of its own, and the variables that lead there."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ILF_ROOT": "s3://ilf/run",
    }
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="ilf")
    yield client, variables
    server.stop()


def test_tables_checkpoints_and_reports_go_to_the_bucket_and_come_back(
    bucket: tuple[object, dict[str, str]], tmp_path: Path
) -> None:
    client, variables = bucket
    project = WholeProject.create(tmp_path / "project", **variables)
    for name in TINY:  # the tiny model and sizes, as the user's own layer
        source = project.path / name
        (project.path / "conf" / "local" / source.name).write_text(source.read_text("utf-8"), encoding="utf-8")
    project.kedro("run", "--env", "cloud")
    keys = [
        item["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="ilf")
        for item in page["Contents"]
    ]
    for part in (
        "03_primary/examples/train.parquet/",
        "04_feature/refinements/refinement_with_feedback.parquet/",
        "06_models/finetune/refinements_n8/",
        "06_models/reward_model/",
        "08_reporting/report.html/",
        "08_reporting/run_record.json/",
    ):
        assert any(key.startswith(f"run/{part}") for key in keys), part
    assert not list((project.path / "data").glob("03_primary/**/*.parquet"))
    # on another machine, with nothing but the bucket: the checkpoints come from there
    elsewhere = WholeProject.create(tmp_path / "elsewhere", **variables)
    for name in TINY:
        source = elsewhere.path / name
        (elsewhere.path / "conf" / "local" / source.name).write_text(source.read_text("utf-8"), encoding="utf-8")
    version = next(key.split("/")[4] for key in keys if key.startswith("run/03_primary/examples/test.parquet/"))
    again = elsewhere.kedro(
        "run", "--env", "cloud", "--pipelines", "reporting", "--load-versions", f"examples.test:{version}"
    )
    assert "optimiser steps" not in again.stdout
    assert "s3://ilf/run/08_reporting/report.html" in again.stdout
