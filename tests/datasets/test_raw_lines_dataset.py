"""Raw lines: local, remote and from the hub; and how quickly the hub's absence is said."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DataCatalog, DatasetError
from pytest_httpserver import HTTPServer

from ilf_kedro.datasets import RawLinesDataset
from ilf_kedro.datasets.raw_lines_dataset import decode_lines
from ilf_kedro.schemas import RawLines

COMMIT = "dcf9bf7a1f88feb8a0a962f532b2969eb239fb4e"  # pragma: allowlist secret
HUB = {"repo_id": "someone/data", "revision": COMMIT, "file": "train.jsonl"}


def load(path: Path, content: bytes) -> RawLines:
    path.write_bytes(content)
    return RawLinesDataset(filepath=str(path)).load()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", ()),
        (b"\n", ("",)),
        (b"a", ("a",)),
        (b"a\nb\n", ("a", "b")),
        (b"\xef\xbb\xbfa\r\n\r\nb\r\n", ("a", "", "b")),
        ("é\u2028😀\x85\x0b\n".encode(), ("é\u2028😀\x85\x0b",)),
        (b"a\rb\n", ("a\rb",)),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path: Path, content: bytes, lines: tuple[str, ...]) -> None:
    assert load(tmp_path / "x.jsonl", content).lines == lines


@given(st.lists(st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"]))), st.booleans())
def test_any_lines_come_back(lines: list[str], windows: bool) -> None:
    content = "".join(line + ("\r\n" if windows else "\n") for line in lines).encode("utf-8-sig")
    assert decode_lines(content) == tuple(lines)


@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"").replace(b"\r", b""))))
def test_bytes_that_are_not_utf8_can_be_told_from_the_lines(lines: list[bytes]) -> None:
    decoded = decode_lines(b"first" + b"".join(b"\n" + line for line in lines) + b"\n")
    assert [line.encode("utf-8", "surrogateescape") for line in decoded] == [b"first", *lines]


def test_one_byte_that_is_not_utf8_hides_no_other_line(tmp_path: Path) -> None:
    assert load(tmp_path / "x.jsonl", b"\xef\xbb\xbfgood\ncaf\xe9\n\xc3\xa9\n").lines == ("good", "caf\udce9", "é")


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfa\r\n\xe9"
    assert load(tmp_path / "x.jsonl", content).content_hash == hashlib.sha256(content).hexdigest()


def test_the_file_is_named_as_the_user_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    assert load(tmp_path / "raw" / "x.jsonl", b"a\n").file == str(Path("raw") / "x.jsonl")
    fsspec.filesystem("memory").pipe_file("/raw/x.jsonl", b"a\n")
    assert RawLinesDataset(filepath="memory:///raw/x.jsonl").load() == RawLines("memory:///raw/x.jsonl", ("a",))


def test_lines_come_from_s3(s3_environment: dict[str, str]) -> None:
    fsspec.filesystem("s3").pipe_file("ilf/raw/train.jsonl", b"a\r\nb")
    entry = {"type": "ilf_kedro.datasets.RawLinesDataset", "filepath": "s3://ilf/raw/{split}.jsonl"}
    catalog = DataCatalog.from_config({"raw.{split}": entry})
    assert catalog.load("raw.train") == RawLines("s3://ilf/raw/train.jsonl", ("a", "b"))
    assert not catalog.exists("raw.test")
    with pytest.raises(DatasetError, match=r"there is no file s3://ilf/raw/test\.jsonl"):
        catalog.load("raw.test")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "either `filepath` .* or `hub` .*, found neither"),
        ({"filepath": "x", "hub": HUB}, "found both"),
        ({"hub": {**HUB, "revison": "x"}}, "unknown key 'revison'; did you mean 'revision'"),
        ({"hub": {"repo_id": "x", "file": "y"}}, "the key 'revision' is missing"),
    ],
)
def test_wrong_entries_are_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        RawLinesDataset(**entry)  # type: ignore[arg-type]


def test_it_is_read_only(tmp_path: Path) -> None:
    lines = load(tmp_path / "x.jsonl", b"a\n")
    with pytest.raises(DatasetError, match="read-only"):
        RawLinesDataset(filepath=str(tmp_path / "x.jsonl")).save(lines)


class TestHub:
    """The hub's client reads its variables when imported: so a process of its own for each test."""

    SCRIPT = """
import sys, time
from ilf_kedro.datasets import RawLinesDataset
hub = {"repo_id": "someone/data", "revision": sys.argv[1], "file": sys.argv[2]}
start = time.monotonic()
try:
    print(RawLinesDataset(hub=hub).load())
except Exception as error:
    print(type(error).__name__, error)
print(time.monotonic() - start)
"""

    def run(self, tmp_path: Path, *, filename: str = "train.jsonl", **variables: str) -> tuple[str, float]:
        """Load in a process with an empty cache; return what it printed and how long loading took."""
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1"} | variables  # as settings.py sets it
        command = [sys.executable, "-c", self.SCRIPT, COMMIT, filename]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=500)
        *printed, seconds = ran.stdout.splitlines()
        return "\n".join(printed), float(seconds)

    @pytest.fixture
    def hub(self, httpserver: HTTPServer) -> Iterator[HTTPServer]:
        """A stand-in for the hub that has one file of one data set."""
        path = f"/datasets/someone/data/resolve/{COMMIT}/train.jsonl"
        headers = {"ETag": '"abc"', "X-Repo-Commit": COMMIT, "Content-Length": "4"}
        httpserver.expect_request(path, method="HEAD").respond_with_data(b"a\nb\n", headers=headers)
        httpserver.expect_request(path, method="GET").respond_with_data(b"a\nb\n", headers=headers)
        missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}
        httpserver.expect_request(path.replace("train", "absent")).respond_with_data("", 404, headers=missing)
        return httpserver

    def test_a_file_is_downloaded_once_and_needs_no_network_after(self, tmp_path: Path, hub: HTTPServer) -> None:
        expected = f"RawLines(file='hf://datasets/someone/data@{COMMIT[:12]}/train.jsonl', lines=('a', 'b'))"
        assert self.run(tmp_path, HF_ENDPOINT=hub.url_for("").rstrip("/"))[0] == expected
        n_requests = len(hub.log)
        assert n_requests > 0
        assert self.run(tmp_path, HF_ENDPOINT=hub.url_for("").rstrip("/"))[0] == expected
        assert len(hub.log) == n_requests
        assert self.run(tmp_path, HF_HUB_OFFLINE="1")[0] == expected

    def test_a_file_that_the_hub_lacks_is_named(self, tmp_path: Path, hub: HTTPServer) -> None:
        printed, _ = self.run(tmp_path, filename="absent.jsonl", HF_ENDPOINT=hub.url_for("").rstrip("/"))
        assert "has no file 'absent.jsonl'" in printed

    @pytest.mark.parametrize("how", ["offline", "refused", "silent"])
    def test_an_unreachable_hub_is_said_within_seconds(self, tmp_path: Path, how: str) -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            if how == "silent":
                server.listen()  # takes connections and never answers
            endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
            printed, seconds = self.run(tmp_path, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1" if how == "offline" else "0")
        assert "is not in the local cache, and the Hugging Face hub" in printed
        for remedy in ("connect to the internet once", "conf/local/catalog.yml", "embedded sample"):
            assert remedy in printed
        assert seconds < 60  # the client's own patience is minutes; the machine may be busy
