"""The Batch API over real HTTP: submit, leave, come back, collect; nothing is submitted or paid twice."""

from __future__ import annotations

import email.parser
import email.policy
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai.batch import BatchPendingError
from ilf_kedro.language_models.openai.cost_tracker import BudgetExceededError
from ilf_kedro.language_models.openai.errors import ApiRefusedError, ApiUnavailableError
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.openai.options import ApiCredentials, ApiOptions, Price
from ilf_kedro.language_models.protocol import Choice, SamplingOptions
from ilf_kedro.prompting import Prompt
from tests.support.misbehaving_server import KEY, MisbehavingServer, text_for

PRICE = Price(input=1000, output=2000)


class BatchServer(MisbehavingServer):
    """Adds /files and /batches. A batch is done after `polls_until_done` looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.polls: dict[str, int] = {}
        self.polls_until_done = 1
        self.fail_with = ""
        server = self

        def do_get(handler: BaseHTTPRequestHandler) -> None:
            server._respond(handler, server._get(handler.path))

        self._http.RequestHandlerClass.do_GET = do_get  # type: ignore[attr-defined]

    def handle(self, handler: BaseHTTPRequestHandler, content: bytes) -> None:
        if handler.path.endswith("/files"):
            name = f"file-{sum(name.startswith('file') for name in self.files)}"
            self.files[name] = self._uploaded(handler, content)
            self._respond(handler, {"id": name, "object": "file", "filename": "batch.jsonl", "bytes": 1,
                                    "created_at": 0, "purpose": "batch", "status": "processed"})  # fmt: skip
        elif handler.path.endswith("/batches"):
            body = json.loads(content)
            name = f"batch-{len(self.batches)}"
            self.batches[name] = {
                "id": name, "object": "batch", "endpoint": body["endpoint"], "input_file_id": body["input_file_id"],
                "completion_window": "24h", "created_at": int(time.time()), "metadata": body["metadata"],
                "status": "in_progress", "request_counts": {"total": 1, "completed": 0, "failed": 0},
            }  # fmt: skip
            self.polls[name] = 0
            self._respond(handler, self.batches[name])
        else:
            super().handle(handler, content)

    @staticmethod
    def _uploaded(handler: BaseHTTPRequestHandler, content: bytes) -> bytes:
        head = f"Content-Type: {handler.headers['Content-Type']}\n\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + content)
        for part in message.iter_parts():  # type: ignore[attr-defined]
            if part.get_filename():
                return bytes(part.get_payload(decode=True))
        raise AssertionError("no file in the upload")

    def _respond(self, handler: BaseHTTPRequestHandler, payload: dict[str, Any] | bytes) -> None:
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/octet-stream" if payload is content else "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _get(self, path: str) -> dict[str, Any] | bytes:
        if found := re.search(r"/files/([\w-]+)/content", path):
            return self.files[found[1]]
        if found := re.search(r"/batches/([\w-]+)", path):
            self.polls[found[1]] += 1
            if self.polls[found[1]] >= self.polls_until_done:
                self.finish(found[1])
            return self.batches[found[1]]
        batches = list(self.batches.values())[::-1]
        return {"object": "list", "data": batches, "has_more": False}

    def finish(self, name: str) -> None:
        batch = self.batches[name]
        if batch["status"] != "in_progress":
            return
        if self.fail_with:
            batch |= {"status": "failed", "errors": {"object": "list", "data": [{"message": self.fail_with}]}}
            return
        good, bad = [], []
        for line in self.files[batch["input_file_id"]].splitlines()[::-1]:  # any order
            request = json.loads(line)
            attempt = self.attempts[line.decode()]
            self.attempts[line.decode()] += 1
            behaviour = self.script(request["body"], attempt)
            if behaviour in ("500", "400 context"):
                error = {"error": {"message": f"failure {behaviour}: maximum context length"}}
                bad.append(self._line(request, int(behaviour[:3]), error))
            elif behaviour == "expired":
                bad.append({"custom_id": request["custom_id"], "response": None, "error": {"code": "batch_expired"}})
            else:
                answer = self._payload(request["url"], request["body"], behaviour)
                self.billed[0] += answer["usage"]["prompt_tokens"]
                self.billed[1] += answer["usage"]["completion_tokens"]
                self.bodies.append(request["body"])
                good.append(self._line(request, 200, answer))
        for kind, lines in (("output", good), ("error", bad)):
            if lines:
                self.files[f"{kind}-{name}"] = b"\n".join(json.dumps(line).encode() for line in lines)
                batch[f"{kind}_file_id"] = f"{kind}-{name}"
        batch["status"] = "completed"

    @staticmethod
    def _line(request: dict[str, Any], status: int, body: dict[str, Any]) -> dict[str, Any]:
        return {"id": "x", "custom_id": request["custom_id"], "error": None,
                "response": {"status_code": status, "request_id": "y", "body": body}}  # fmt: skip


@pytest.fixture
def server() -> Iterator[BatchServer]:
    running = BatchServer()
    yield running
    running.close()


def make(server: BatchServer, cache: Path, **changes: Any) -> OpenAICompatibleLanguageModel:
    options = {"model": "small", "base_url": server.base_url, "send": "batch", "batch_poll_seconds": 0.01}
    return OpenAICompatibleLanguageModel(
        ApiOptions(**{**options, "prices": {"small": PRICE}, "max_retries": 2, **changes}),  # type: ignore[arg-type]
        credentials=ApiCredentials(api_key=SecretStr(KEY)),
        cache=CompletionCache(cache),
    )


def prompts(count: int) -> list[Prompt]:
    return [Prompt(f"Post number {index}. Output:", f"example-{index}") for index in range(count)]


def test_a_batch_answers_as_single_requests_do_at_half_the_price(server: BatchServer, tmp_path: Path) -> None:
    server.polls_until_done = 3
    model = make(server, tmp_path / "batch")
    rows = model.generate(prompts(5), range(3), SamplingOptions(), seed=1)
    assert len(server.batches) == 1
    assert server.polls["batch-0"] == 3
    billed = (server.billed[0] * 0.001 + server.billed[1] * 0.002) / 2
    assert model.spending.usd == pytest.approx(billed)
    assert rows == make(server, tmp_path / "online", send="online").generate(
        prompts(5), range(3), SamplingOptions(), seed=1
    )
    # Both ways share the cache.
    asked = len(server.bodies)
    assert (
        make(server, tmp_path / "batch", send="online").generate(prompts(5), range(3), SamplingOptions(), seed=1)
        == rows
    )
    assert len(server.bodies) == asked


def test_choices_go_by_batch_too(server: BatchServer, tmp_path: Path) -> None:
    choices = (Choice("Yes", ("Yes",)), Choice("No", (" No",)))
    answers = make(server, tmp_path / "a").choice_probabilities(prompts(3), choices)
    assert answers == make(server, tmp_path / "b", send="online").choice_probabilities(prompts(3), choices)


def test_leave_and_come_back(server: BatchServer, tmp_path: Path) -> None:
    server.polls_until_done = 10**6
    with pytest.raises(BatchPendingError, match=r"batch-0.*run the same command again"):
        make(server, tmp_path / "cache", batch_wait_hours=0).generate(prompts(4), range(2), SamplingOptions(), seed=1)
    with pytest.raises(BatchPendingError):
        make(server, tmp_path / "cache", batch_wait_hours=0).generate(prompts(4), range(2), SamplingOptions(), seed=1)
    assert len(server.batches) == 1
    server.finish("batch-0")
    # Meanwhile there are more examples: only the new ones are submitted.
    server.polls_until_done = 1
    model = make(server, tmp_path / "cache")
    rows = model.generate(prompts(6), range(2), SamplingOptions(), seed=1)
    assert [len(row) for row in rows] == [2] * 6
    assert len(server.batches) == 2
    assert len(server.files["file-1"].splitlines()) == 2
    assert len(server.bodies) == 6
    assert model.spending.usd == pytest.approx((server.billed[0] * 0.001 + server.billed[1] * 0.002) / 2)


RUN = """
import sys
from pathlib import Path
from ilf_kedro.language_models.openai.options import ApiOptions
from ilf_kedro.language_models.cache.completion_cache import CompletionCache
from ilf_kedro.language_models.openai.model import OpenAICompatibleLanguageModel
from ilf_kedro.language_models.protocol import SamplingOptions
from ilf_kedro.prompting import Prompt
options = ApiOptions(model="small", base_url=sys.argv[1], send="batch", batch_poll_seconds=0.01)
model = OpenAICompatibleLanguageModel(options, cache=CompletionCache(Path(sys.argv[2])))
prompts = [Prompt(f"Post number {index}. Output:", f"example-{index}") for index in range(4)]
model.generate(prompts, range(2), SamplingOptions(), seed=1)
"""


def test_a_killed_process_finds_its_batch_again(server: BatchServer, tmp_path: Path) -> None:
    server.polls_until_done = 10**6
    run = subprocess.Popen([sys.executable, "-c", RUN, server.base_url, str(tmp_path / "cache")])
    while not server.batches:
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    server.finish("batch-0")
    rows = make(server, tmp_path / "cache").generate(prompts(4), range(2), SamplingOptions(), seed=1)
    assert [len(row) for row in rows] == [2] * 4
    assert len(server.batches) == 1
    by_prompt = {body["messages"][0]["content"]: body for body in server.bodies}
    for prompt, row in zip(prompts(4), rows, strict=True):
        assert [completion.text for completion in row] == [
            text_for(by_prompt[prompt.text], index) for index in range(2)
        ]


def test_failed_lines_are_submitted_again(server: BatchServer, tmp_path: Path) -> None:
    faults = {0: "500", 1: "expired", 2: "fewer", 3: "empty"}

    def script(body: dict[str, Any], attempt: int) -> str | None:
        number = int(re.findall(r"\d+", body["messages"][0]["content"])[0])
        return faults.get(number) if attempt == 0 else None

    server.script = script
    model = make(server, tmp_path / "cache")
    rows = model.generate(prompts(8), range(2), SamplingOptions(), seed=1)
    assert [len(row) for row in rows] == [2] * 8
    assert [len(server.files[f"file-{number}"].splitlines()) for number in range(3)] == [8, 3, 1]
    assert model.spending.faults == {"status 5xx": 1, "fewer choices than asked": 1, "no choices": 1}


def test_lines_that_keep_failing_are_given_up(server: BatchServer, tmp_path: Path) -> None:
    server.script = lambda body, attempt: "500" if "number 1." in body["messages"][0]["content"] else None
    with pytest.raises(ApiUnavailableError, match="1 requests failed in 3 batches"):
        make(server, tmp_path / "cache").generate(prompts(3), range(1), SamplingOptions(), seed=1)
    server.script = lambda body, attempt: None
    server.bodies.clear()
    assert len(make(server, tmp_path / "cache").generate(prompts(3), range(1), SamplingOptions(), seed=1)) == 3
    assert len(server.bodies) == 1


def test_a_refused_line_stops_with_its_remedy_and_the_rest_is_kept(server: BatchServer, tmp_path: Path) -> None:
    server.script = lambda body, attempt: "400 context" if "number 1." in body["messages"][0]["content"] else None
    with pytest.raises(ApiRefusedError, match="max_prompt_characters"):
        make(server, tmp_path / "cache").generate(prompts(3), range(1), SamplingOptions(), seed=1)
    assert CompletionCache(tmp_path / "cache").statistics().entries == 2


def test_a_failed_batch_names_its_cause(server: BatchServer, tmp_path: Path) -> None:
    server.fail_with = "Enqueued token limit reached"
    with pytest.raises(ApiRefusedError, match="Enqueued token limit reached"):
        make(server, tmp_path / "cache").generate(prompts(3), range(1), SamplingOptions(), seed=1)
    server.fail_with = ""  # a later run is not put off by the failed batch
    assert len(make(server, tmp_path / "cache").generate(prompts(3), range(1), SamplingOptions(), seed=1)) == 3


def test_a_batch_beyond_the_budget_is_not_submitted(server: BatchServer, tmp_path: Path) -> None:
    with pytest.raises(BudgetExceededError):
        make(server, tmp_path / "cache", budget=1.0).generate(prompts(50), range(1), SamplingOptions(), seed=1)
    assert not server.batches
    assert not server.files


def test_batches_of_others_are_left_alone(server: BatchServer, tmp_path: Path) -> None:
    make(server, tmp_path / "a", model="large", prices={}).generate(prompts(1), range(1), SamplingOptions(), seed=1)
    server.batches["batch-0"]["input_file_id"] = "no such file"
    server.batches["batch-0"]["output_file_id"] = "no such file"
    make(server, tmp_path / "b").generate(prompts(1), range(1), SamplingOptions(), seed=1)
    assert len(server.batches) == 2
