"""The whole loop with everything that is versioned on S3 (moto's server), and read back from there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.support.whole_project import WholeProject, assert_same_tables

BUCKET, PREFIX = "ilf", "run/"


@dataclass
class Bucket:
    """A bucket on a server of its own, and the variables that lead there."""

    client: Any
    variables: dict[str, str]

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page["Contents"]]

    def download(self, path: Path) -> WholeProject:
        """Fetch all tables and records; `latest`, `tables` and `record` of what is returned then read them."""
        for key in self.keys():
            if key.endswith((".parquet", ".json")):
                file = path / "data" / key.removeprefix(PREFIX)
                file.parent.mkdir(parents=True, exist_ok=True)
                self.client.download_file(BUCKET, key, str(file))
        return WholeProject(path)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ILF_ROOT": f"s3://{BUCKET}/{PREFIX}".rstrip("/"),
    }
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    yield Bucket(client, variables)
    server.stop()


def in_the_cloud(path: Path, bucket: Bucket) -> WholeProject:
    """A project whose own layer is the test environment's: its tiny model and sizes."""
    project = WholeProject.create(path, **bucket.variables)
    for name in ("catalog_language_models.yml", "parameters.yml"):
        shutil.copy(project.path / "conf" / "test" / name, project.path / "conf" / "local" / name)
    return project


@pytest.mark.slow
def test_tables_checkpoints_and_reports_go_to_the_bucket_and_come_back(bucket: Bucket, tmp_path: Path) -> None:
    project = in_the_cloud(tmp_path / "project", bucket)
    project.kedro("run", "--env", "cloud")
    keys = bucket.keys()
    for part in (
        "06_models/finetune/refinements_n8/",
        "06_models/reward_model/",
        "08_reporting/report.html/",
        "08_reporting/run_record.json/",
    ):
        assert any(key.startswith(f"{PREFIX}{part}") for key in keys), part
    assert not list((project.path / "data").glob("*/**/*.parquet"))
    local = WholeProject.create(tmp_path / "local")
    local.kedro("run", "--env", "test")
    there = bucket.download(tmp_path / "first")
    assert len(there.tables("data")) > 40
    assert_same_tables(local.tables(), there.tables("data"))

    # On another machine, with nothing but the bucket: tables and checkpoints come from there, in the version asked for.
    name = "03_primary/examples/test.parquet"
    older = there.latest(f"{name}/*/*", "data")[name].parent.name
    elsewhere = in_the_cloud(tmp_path / "elsewhere", bucket)
    elsewhere.drop_last_row("test")
    elsewhere.kedro("run", "--env", "cloud", "--pipelines", "data_prep")
    again = elsewhere.kedro(
        *("run", "--env", "cloud", "--pipelines", "reporting", "--load-versions", f"examples.test:{older}")
    ).stdout
    assert "optimiser steps in" not in again
    assert f"s3://{BUCKET}/{PREFIX}08_reporting/report.html" in again
    after = bucket.download(tmp_path / "second")
    assert len(after.tables("data")[name]) == 11  # the newest, made elsewhere
    assert {each.name: each.version for each in after.record("data").loaded}["examples.test"] == older
    for table in ("08_reporting/win_rates.parquet", "08_reporting/model_metrics.parquet"):
        assert after.latest(f"{table}/*/*", "data")[table].parent.name > older
        assert_same_tables({table: local.tables()[table]}, {table: after.tables("data")[table]})
