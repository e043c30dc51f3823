"""Rows in the catalog: files of every kind, remotes, and data sets on the hub that are downloaded once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from kedro.io import DataCatalog, DatasetError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ilf_kedro.datasets import RawRowsDataset

COMMIT = "f6d145777bcbde96137596340fab89793acd1031"  # pragma: allowlist secret
HUB = {"repo_id": "someone/data", "revision": COMMIT, "split": "train"}
CONTENT = b'{"id": "007", "x": {"a": [1, null]}}\n{"id": "8", "x": null}\n'


def test_a_file_is_read_as_its_name_and_the_entry_say(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id;text\n007;é\n", "cp1252")
    entry = {
        "type": "ilf_kedro.datasets.RawRowsDataset",
        "filepath": str(tmp_path / "{split}.csv"),
        "separator": ";",
        "encoding": "windows-1252",
    }
    catalog = DataCatalog.from_config({"raw.{split}": entry})
    assert [dict(each.values) for each in catalog.load("raw.train").rows] == [{"id": "007", "text": "é"}]
    assert catalog.exists("raw.train")
    assert not catalog.exists("raw.test")
    with pytest.raises(DatasetError, match=r"there is no file .*test\.csv; put it there"):
        catalog.load("raw.test")


def test_rows_come_from_s3(s3_environment: dict[str, str]) -> None:
    fsspec.filesystem("s3").pipe_file("ilf/raw/train.jsonl", CONTENT)
    rows = RawRowsDataset(filepath="s3://ilf/raw").load().rows
    assert [(each.file, each.values["id"]) for each in rows] == [
        ("s3://ilf/raw/train.jsonl", "007"),
        ("s3://ilf/raw/train.jsonl", "8"),
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "either `filepath` .* or `hub` .*, found neither"),
        ({"filepath": "x", "hub": HUB}, "found both"),
        ({"filepath": "x", "kind": "xlsx"}, "'jsonl', 'json', 'csv', 'parquet' or 'arrow'"),
        ({"filepath": "x", "encoding": "utf-9"}, "no encoding is called 'utf-9'"),
        ({"filepath": "x", "separator": ", "}, "at most 1 character"),
        ({"hub": {**HUB, "spilt": "x"}}, "unknown key 'spilt'; did you mean 'split'"),
        ({"hub": {**HUB, "revision": "main"}}, "revision: found 'main'; String should match pattern"),
        ({"hub": {**HUB, "file": "x", "config": "y"}}, "unknown key 'config'"),
    ],
)
def test_wrong_entries_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        RawRowsDataset(**entry)  # type: ignore[arg-type]


def test_it_is_read_only(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="read-only"):
        RawRowsDataset(filepath=str(tmp_path / "x.jsonl")).save([])  # type: ignore[arg-type]


SCRIPT = """
import sys
from ilf_kedro.datasets import RawRowsDataset
hub = {"repo_id": "someone/data", "revision": sys.argv[1], "split": sys.argv[2]}
try:
    print([dict(each.values) for each in RawRowsDataset(hub=hub).load().rows])
except Exception as error:
    print(type(error).__name__, error)
print("torch" in sys.modules)
"""


def load(tmp_path: Path, *, revision: str = COMMIT, split: str = "train", **variables: str) -> str:
    """Load in a process of its own, for the hub's client reads its variables when imported."""
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"} | variables
    command = [sys.executable, "-c", SCRIPT, revision, split]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=300)
    *printed, torch = ran.stdout.splitlines()
    assert torch == "False"
    assert ran.stderr == ""
    return "\n".join(printed)


def answer(request: Request) -> Response:
    """Answer as the hub does for a data set that holds one file."""
    headers = {"ETag": '"abc"', "X-Repo-Commit": COMMIT, "Content-Length": str(len(CONTENT))}
    if request.path == f"/api/datasets/someone/data/revision/{COMMIT}":
        about = {"id": "someone/data", "sha": COMMIT, "private": False, "tags": [], "downloads": 0}
        return Response(json.dumps({**about, "siblings": [{"rfilename": "train.jsonl"}]}), mimetype="application/json")
    if request.path == f"/api/datasets/someone/data/tree/{COMMIT}":
        file = {"type": "file", "path": "train.jsonl", "size": len(CONTENT), "oid": "a" * 40}
        return Response(json.dumps([file]), mimetype="application/json")
    if request.path.endswith(f"/resolve/{COMMIT}/train.jsonl"):
        return Response(CONTENT, headers=headers)
    code = "RevisionNotFound" if "/revision/" in request.path else "EntryNotFound"
    return Response("", 404, headers={"X-Error-Code": code, "X-Repo-Commit": COMMIT})


@pytest.mark.slow
def test_a_data_set_of_the_hub_is_downloaded_once_and_pinned(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    endpoint = httpserver.url_for("").rstrip("/")
    expected = "[{'id': '007', 'x': {'a': [1, None]}}, {'id': '8', 'x': None}]"
    assert load(tmp_path, HF_ENDPOINT=endpoint) == expected
    assert load(tmp_path, HF_HUB_OFFLINE="1") == expected
    assert load(tmp_path, HF_ENDPOINT="http://127.0.0.1:9") == expected
    other = load(tmp_path, revision="0" * 40, HF_HUB_OFFLINE="1")
    assert "is not in the local cache, and the Hugging Face hub" in other
    assert "HF_HUB_OFFLINE is set" in other
    assert "no data set 'someone/data' at revision '0000" in load(tmp_path, revision="0" * 40, HF_ENDPOINT=endpoint)
    assert "cannot be loaded: Unknown split" in load(tmp_path, split="tests", HF_ENDPOINT=endpoint)
