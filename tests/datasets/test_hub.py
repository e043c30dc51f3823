"""Files of the hub are downloaded once, and its absence is said quickly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

COMMIT = "dcf9bf7a1f88feb8a0a962f532b2969eb239fb4e"  # pragma: allowlist secret
CONTENT = b'{"x": "a"}\n{"x": "b"}\n'


SCRIPT = """
import sys, time
from ilf_kedro.datasets import RawRowsDataset
hub = {"repo_id": "someone/data", "revision": sys.argv[1], "file": sys.argv[2]}
start = time.monotonic()
try:
    rows = RawRowsDataset(hub=hub).load()
    print(rows.file, [row.values["x"] for row in rows.rows])
except Exception as error:
    print(type(error).__name__, error)
print(time.monotonic() - start)
"""


def load(tmp_path: Path, *, filename: str = "train.jsonl", **variables: str) -> tuple[str, float]:
    """Load in a process of its own, for the client reads its variables when imported; return print and seconds."""
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1"} | variables  # as settings.py sets it
    command = [sys.executable, "-c", SCRIPT, COMMIT, filename]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=500)
    *printed, seconds = ran.stdout.splitlines()
    return "\n".join(printed), float(seconds)


@pytest.fixture
def hub(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """A stand-in for the hub that has one file of one data set."""
    path = f"/datasets/someone/data/resolve/{COMMIT}/train.jsonl"
    headers = {"ETag": '"abc"', "X-Repo-Commit": COMMIT, "Content-Length": str(len(CONTENT))}
    httpserver.expect_request(path, method="HEAD").respond_with_data(CONTENT, headers=headers)
    httpserver.expect_request(path, method="GET").respond_with_data(CONTENT, headers=headers)
    missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
    httpserver.expect_request(path.replace("train", "absent")).respond_with_data("", 404, headers=missing)
    return httpserver


def test_a_file_is_downloaded_once_and_needs_no_network_after(tmp_path: Path, hub: HTTPServer) -> None:
    expected = f"hf://datasets/someone/data@{COMMIT[:12]}/train.jsonl ['a', 'b']"
    assert load(tmp_path, HF_ENDPOINT=hub.url_for("").rstrip("/"))[0] == expected
    n_requests = len(hub.log)
    assert n_requests > 0
    assert load(tmp_path, HF_ENDPOINT=hub.url_for("").rstrip("/"))[0] == expected
    assert len(hub.log) == n_requests
    assert load(tmp_path, HF_HUB_OFFLINE="1")[0] == expected


def test_a_file_that_the_hub_lacks_is_named(tmp_path: Path, hub: HTTPServer) -> None:
    printed, _ = load(tmp_path, filename="absent.jsonl", HF_ENDPOINT=hub.url_for("").rstrip("/"))
    assert "has no file 'absent.jsonl'" in printed


@pytest.mark.parametrize("how", ["offline", "refused", pytest.param("silent", marks=pytest.mark.slow)])
def test_an_unreachable_hub_is_said_within_seconds(tmp_path: Path, how: str) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if how == "silent":
            server.listen()  # takes connections and never answers
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        printed, seconds = load(tmp_path, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1" if how == "offline" else "0")
    assert "is not in the local cache, and the Hugging Face hub" in printed
    for remedy in ("connect to the internet once", "conf/local/catalog.yml", "embedded sample"):
        assert remedy in printed
    assert seconds < 60  # the client's own patience is minutes; the machine may be busy
