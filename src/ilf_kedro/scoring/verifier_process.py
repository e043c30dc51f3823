"""The process of a verifier, as its parent sees it.

One process verifies many rows, and is started anew after a time-out or a crash. What it is kept from:

- time: the parent kills the process, and every process of its session, once a row has taken its seconds by the
  clock; the kernel does after as many seconds of processor time, should the parent be gone (RLIMIT_CPU);
- memory: its address space is limited (RLIMIT_AS, which Linux enforces and macOS does not); a process that it
  starts has the same limit for itself, not a share in it;
- the network: on Linux, where the kernel allows it, in a network namespace without any interface, which holds for
  native code and for processes that it starts; and everywhere by an audit hook, which stops Python's sockets alone;
- secrets: of the environment's variables only those that say where and in which language things are.

It is not kept from files: it reads and writes what the user may. So it protects from a mistake in a verifier and
from what a refinement may do to one, but it is no jail: code that a language model wrote belongs in a container.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import Field, field_validator

from ilf_kedro.schemas import Options, UserError
from ilf_kedro.verifiers import Row

__all__ = ["Failure", "Outcome", "VerifierOptions", "VerifierProcess"]

Failure = Literal["raised", "timed out", "out of memory", "not a number", "crashed"]

_NAME = re.compile(r"(?:[\w.]+|.+\.py):[^\W\d]\w*")
_VARIABLES = re.compile(r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV")
_SECONDS_TO_START = 60.0
_SECONDS_TO_END = 1.0


class VerifierOptions(Options):
    """Which function verifies, and its limits.

    `callable` is "package.module:function", or "path/to/file.py:function" below the folder that kedro is started
    in; it is called with a `verifiers.Row` and the keyword `arguments`. `seconds` is the time that one row may
    take; `memory_mib` what the process may hold, Python and its imports included.
    """

    callable: str = "ilf_kedro.verifiers:words_within"
    arguments: Mapping[str, bool | int | float | str | tuple[str, ...]] = Field(default_factory=dict)
    seconds: float = Field(default=5.0, gt=0)
    memory_mib: int = Field(default=1024, ge=64)

    @field_validator("callable")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"found {name!r}, expected package.module:function or path/to/file.py:function, "
                "such as ilf_kedro.verifiers:matches"
            )
        return name


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row's score, or why it has none."""

    score: float | None = None
    failure: Failure | None = None
    detail: str = ""


@dataclass(slots=True)
class VerifierProcess:
    """The process that verifies, started at the first row and again after it had to be ended."""

    options: VerifierOptions
    isolated: bool = False
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self) -> None:
        """Start the process, and have it find the function.

        Raises:
            UserError: it cannot; with what the function's file raised.
        """
        if os.name != "posix":
            raise UserError("a verifier needs the limits of Linux or macOS; leave `verifier` out of selection.scorers")
        worker = Path(__file__).with_name("verifier_worker.py")
        self._process = subprocess.Popen(
            # -P: the worker's own folder is no place to import from.
            [sys.executable, "-s", "-P", "-X", "utf8", str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_plain_variables(), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        limits = {"seconds": self.options.seconds, "memory_bytes": self.options.memory_mib * 2**20}
        called = {"callable": self.options.callable, "arguments": dict(self.options.arguments)}
        paths = list(dict.fromkeys([*(path for path in sys.path if path), str(Path.cwd())]))
        answer = self._ask({**called, **limits, "sys_path": paths}, _SECONDS_TO_START)
        if isinstance(answer, Outcome) or "error" in answer:
            self.end()
            found = f"{answer.failure}, {answer.detail}" if isinstance(answer, Outcome) else answer["error"]
            raise UserError(
                f"the verifier {self.options.callable!r} (selection.verifier.callable) cannot be used: {found}\n"
                "Expected package.module:function that Python can import, or path/to/file.py:function below "
                f"{Path.cwd()}, which takes a row and the arguments {sorted(self.options.arguments)}, and starts "
                f"within {_SECONDS_TO_START:.0f} seconds and {self.options.memory_mib} MiB. Correct it, or leave "
                "`verifier` out of the scorers."
            )
        self.isolated = bool(answer["isolated"])

    def score(self, row: Row) -> Outcome:
        """Return what the verifier says of one row."""
        if self._process is None:
            self.start()
        answer = self._ask(asdict(row), self.options.seconds)
        outcome = answer if isinstance(answer, Outcome) else Outcome(**answer)
        if outcome.failure in ("timed out", "out of memory", "crashed"):
            self.end()
        return outcome

    def end(self) -> None:
        """Kill the process and all of its session, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _ask(self, question: Mapping[str, object], seconds: float) -> dict[str, Any] | Outcome:
        """Send one line and return the answer's, or how the process failed to give one."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return Outcome(failure="crashed")
        line = json.dumps(question).encode("ascii") + b"\n"
        reply = b""
        try:
            for part in _exchange(self._process.stdin.fileno(), self._process.stdout.fileno(), line, seconds):
                reply += part
            answer: dict[str, Any] = json.loads(reply)
        except TimeoutError:
            return Outcome(failure="timed out", detail=f"after {seconds:g} s")
        except (BrokenPipeError, json.JSONDecodeError):  # its end of a pipe is closed
            with suppress(subprocess.TimeoutExpired):  # it may have closed its pipes without ending
                self._process.wait(_SECONDS_TO_END)
            ended = self._process.returncode
            if ended == -signal.SIGXCPU:
                return Outcome(failure="timed out", detail=f"after {seconds:g} s of processor time")
            return Outcome(
                failure="crashed", detail="its process " + ("hung up" if ended is None else f"ended with {ended}")
            )
        return answer


def _exchange(send: int, receive: int, line: bytes, seconds: float) -> Iterator[bytes]:
    """Write a line to one pipe while reading another up to its next line's end; yield what is read.

    Raises:
        TimeoutError: `seconds` are over.
        BrokenPipeError: nobody reads any more.
    """
    end = time.monotonic() + seconds
    os.set_blocking(send, False)
    with selectors.DefaultSelector() as selector:
        selector.register(receive, selectors.EVENT_READ)
        selector.register(send, selectors.EVENT_WRITE)
        while True:
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fd == send:
                    line = line[os.write(send, line) :]
                    if not line:
                        selector.unregister(send)
                    continue
                part = os.read(receive, 65536)
                yield part
                if not part or part.endswith(b"\n"):
                    return


def _plain_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}
