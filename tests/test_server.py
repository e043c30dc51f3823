"""`kedro server start`: runs that are asked for over HTTP, of a real process."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.whole_project import WholeProject

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")


class Server:
    """A server of a project, and what it answers."""

    def __init__(self, project: WholeProject, port: int) -> None:
        self.project, self.url = project, f"http://127.0.0.1:{port}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=300) as answer:
            return json.load(answer)

    def run(self, **request: object) -> dict[str, Any]:
        body = json.dumps(request).encode()
        asked = urllib.request.Request(f"{self.url}/run", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=300) as answer:
            return json.load(answer)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = WholeProject.create(tmp_path_factory.mktemp("server") / "project")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = project.path / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", "server", "start", "--env", "test", "--port", str(port)],
            cwd=project.path,
            env=project.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            started = Server(project, port)
            _wait(started, process, log)
            yield started
        finally:
            process.terminate()
            process.wait(60)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, log.read_text("utf-8")
        try:
            assert server.get("/health")["status"] == "healthy"
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer: {log.read_text('utf-8')}")


def test_each_request_has_pipelines_of_its_own_parameters(server: Server) -> None:
    for size, other in ((2, 3), (3, 2)):
        params = {"train_sizes": [size]}
        made = server.run(pipeline_names=["data_prep"], params=params)
        assert made["status"] == "success", made
        finetune = {"pipeline_names": ["finetune"], "params": params}
        chosen = server.run(**finetune, node_names=[f"finetune.references.n{size}.choose_targets"])
        assert chosen["status"] == "success", chosen
        refused = server.run(**finetune, node_names=[f"finetune.references.n{other}.choose_targets"])
        assert refused["status"] == "failure"
        assert f"finetune.references.n{other}.choose_targets" in refused["error"]["message"]
    targets = server.project.tables()
    assert {n: len(targets[f"05_model_input/finetune/references_n{n}_targets.parquet"]) for n in (2, 3)} == {2: 2, 3: 3}
    record = server.project.record()
    assert (record.outcome, record.environment, record.parameters["train_sizes"]) == ("succeeded", "test", [3])


def test_what_a_request_gets_wrong_is_said_in_one_message(server: Server) -> None:
    wrong = server.run(pipeline_names=["data_prep"], params={"train_size": [2]})
    assert wrong["status"] == "failure"
    assert re.search(r"train_size .*: unknown key .*the nearest right one is", wrong["error"]["message"])
    assert server.run(pipeline_names=["data_prep"], params={"train_sizes": [2]})["status"] == "success"


def test_a_snapshot_has_the_pipelines_of_the_servers_environment(server: Server) -> None:
    snapshot = server.get("/snapshot")
    assert snapshot["status"] == "success", snapshot
    assert {"data_prep", "finetune", "full"} <= {each["name"] for each in snapshot["pipelines"]}
