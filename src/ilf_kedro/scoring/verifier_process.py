"""The process of a verifier, as its parent sees it.

One process verifies many rows, and is started anew after a time-out or a crash. What it is kept from:

- time: the parent kills the process, and all that it started, once a row has taken its seconds by the clock, whatever
  it does meanwhile; the kernel does after as many seconds of processor time, should the parent be gone (RLIMIT_CPU);
- processes: on Linux, where the kernel allows it, it lives in a PID namespace, in which there is nobody to signal but
  its own, and which ends as a whole; elsewhere its descendants are looked for and killed, and Python's signals to its
  parents are refused by an audit hook;
- memory: its address space is limited (RLIMIT_AS, which Linux enforces and macOS does not); a process that it
  starts has the same limit for itself, not a share in it;
- files: none may grow beyond a limit (RLIMIT_FSIZE);
- the network: on Linux, where the kernel allows it, in a network namespace without any interface, which holds for
  native code and for processes that it starts; and everywhere by an audit hook, which stops Python's sockets alone;
- secrets: of the environment's variables only those that say where and in which language things are;
- answers that are none: only a finite number counts, and what is written beyond an answer's length ends it.

It is not kept from reading and writing the files that the user may. So it protects from a mistake in a verifier and
from what an output may do to one, but it is no jail: for code that is meant to harm use a container or a machine of its
own.
"""

from __future__ import annotations

import json
import math
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast, get_args

import psutil
from pydantic import Field, field_validator

from ilf_kedro.schemas import Options, UserError
from ilf_kedro.verifiers import Row

__all__ = ["Failure", "Outcome", "VerifierOptions", "VerifierProcess"]

Failure = Literal["raised", "timed out", "out of memory", "not a number", "crashed"]

_NAME = re.compile(r"(?:[\w.]+|.+\.py):[^\W\d]\w*")
_VARIABLES = re.compile(r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV")
_SECONDS_TO_START = 60.0
_SECONDS_TO_END = 1.0
_LONGEST_REPLY = 65536
_LONGEST_DETAIL = 400
_SOURCE = Path(__file__).parents[2]


class VerifierOptions(Options):
    """Which function verifies, and its limits.

    `callable` is "package.module:function", or "path/to/file.py:function" below the folder that kedro is started
    in; it is called with a `verifiers.Row` and the keyword `arguments`. `seconds` is the time that one row may
    take; `memory_mib` what the process may hold, Python and its imports included; `file_mib` what a file may.
    """

    callable: str = "ilf_kedro.verifiers:words_within"
    arguments: Mapping[str, bool | int | float | str | tuple[str, ...]] = Field(default_factory=dict)
    seconds: float = Field(default=5.0, gt=0)
    memory_mib: int = Field(default=1024, ge=64)
    file_mib: int = Field(default=64, ge=0)

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
    namespaces: bool = True
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
            env={**_plain_variables(), "PYTHONPATH": str(_SOURCE), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        limits: dict[str, object] = {
            "seconds": self.options.seconds,
            "memory_bytes": self.options.memory_mib * 2**20,
            "file_bytes": self.options.file_mib * 2**20,
            "namespaces": self.namespaces,
        }
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
        self.isolated = answer.get("network") is True and answer.get("processes") is True

    def score(self, row: Row) -> Outcome:
        """Return what the verifier says of one row."""
        if self._process is None:
            self.start()
        question = {"output": row.output, "raw_text": row.raw_text, "fields": dict(row.fields)}
        answer = self._ask(question, self.options.seconds)
        outcome = answer if isinstance(answer, Outcome) else _outcome(answer)
        if isinstance(answer, Outcome) or outcome.failure == "crashed" or answer.get("ends") is not False:
            self.end()
        return outcome

    def end(self) -> None:
        """Kill the process and all that it started, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        # With a PID namespace killing the group is enough; without, whoever has left it is still a descendant.
        started = _descendants(process.pid)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        for each in started:
            with suppress(psutil.Error):
                each.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _ask(self, question: Mapping[str, object], seconds: float) -> dict[str, Any] | Outcome:
        """Send one line and return the answer's, or how the process failed to give one."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return Outcome(failure="crashed")
        line = json.dumps(question, default=str).encode("ascii") + b"\n"
        try:
            reply = _exchange(self._process.stdin.fileno(), self._process.stdout.fileno(), line, seconds)
            answer = json.loads(reply.decode("ascii"))
        except TimeoutError:
            return Outcome(failure="timed out", detail=f"after {seconds:g} s")
        except OverflowError:
            return Outcome(failure="crashed", detail=f"its process wrote more than {_LONGEST_REPLY} bytes")
        except (ValueError, RecursionError) as error:  # no ASCII, no JSON, or too deep
            if isinstance(error, json.JSONDecodeError) and not reply:
                return self._why_it_ended(seconds)
            return Outcome(failure="crashed", detail="its process answered with something else than an answer")
        except BrokenPipeError:
            return self._why_it_ended(seconds)
        return answer if isinstance(answer, dict) else Outcome(failure="crashed", detail="its process gave no answer")

    def _why_it_ended(self, seconds: float) -> Outcome:
        """Say how the process ended, whose end of a pipe is closed; it may have closed it without ending."""
        if self._process is None:
            return Outcome(failure="crashed")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        ended = self._process.returncode
        if ended == -signal.SIGXCPU:
            return Outcome(failure="timed out", detail=f"after {seconds:g} s of processor time")
        return Outcome(
            failure="crashed", detail="its process " + ("hung up" if ended is None else f"ended with {ended}")
        )


def _exchange(send: int, receive: int, line: bytes, seconds: float) -> bytes:
    """Write a line to one pipe while reading another up to its next line's end; return what is read.

    Raises:
        TimeoutError: `seconds` are over.
        OverflowError: the answer is longer than any is.
        BrokenPipeError: nobody reads any more.
    """
    end, reply = time.monotonic() + seconds, b""
    os.set_blocking(send, False)
    with selectors.DefaultSelector() as selector:
        selector.register(receive, selectors.EVENT_READ)
        selector.register(send, selectors.EVENT_WRITE)
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.fd == send:
                    line = line[os.write(send, line) :]
                    if not line:
                        selector.unregister(send)
                    continue
                part = os.read(receive, 65536)
                reply += part
                if len(reply) > _LONGEST_REPLY:
                    raise OverflowError
                if not part or part.endswith(b"\n"):
                    return reply
    raise TimeoutError


def _outcome(answer: Mapping[str, object]) -> Outcome:
    """Return what an answer says; whoever wrote it, only a finite number is a score."""
    score, failure, detail = answer.get("score"), answer.get("failure"), answer.get("detail")
    if isinstance(score, int | float) and not isinstance(score, bool) and failure is None:
        number = float(score) if abs(score) <= sys.float_info.max else math.inf
        if math.isfinite(number):
            return Outcome(score=number)
    if failure in get_args(Failure):
        return Outcome(failure=cast("Failure", failure), detail=str(detail or "")[:_LONGEST_DETAIL])
    return Outcome(failure="crashed", detail="its process answered with no finite number")


def _descendants(pid: int) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        found += psutil.Process(pid).children(recursive=True)
    return found


def _plain_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}
