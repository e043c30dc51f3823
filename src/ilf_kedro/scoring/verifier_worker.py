"""The process in which a verifier runs: started by its file's path, it knows nothing of the rest of the project.

It reads JSON lines and answers each with one: first what to run and its limits, then row after row. What each
limit protects from, and what none of them does, stands in verifier_process.py.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import inspect
import json
import math
import os
import platform
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import IO, Any

from ilf_kedro.verifiers.processes import (
    NEW_IPC,
    NEW_NETWORK,
    NEW_PIDS,
    NEW_USERS,
    end_with_parent,
    new_namespaces,
)
from ilf_kedro.verifiers.row import Row

_SECONDS_TO_END = 0.2
_MOST_PROCESSES = 256
_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
_NETWORK_EVENTS = frozenset(
    f"socket.{name}"
    for name in ("connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo")
)
_SIGNAL_EVENTS = frozenset(("os.kill", "os.killpg", "signal.pthread_kill"))


def main() -> None:
    """Answer until the input ends."""
    requests, replies = _take_over_standard_streams()
    start = json.loads(requests.readline())
    sys.path[:] = start["sys_path"]
    network, processes = _isolate(replies, requests, use_namespaces=start["namespaces"])
    _limit(start["memory_bytes"], start["file_bytes"], counts_own_processes=processes)
    try:
        verify = _find(start["callable"])
        inspect.signature(verify).bind(Row(""), **start["arguments"])
    except Exception as error:  # noqa: BLE001  # importing the user's file may raise anything: the parent says it
        _reply(replies, {"error": _describe(error)})
        return
    _reply(replies, {"network": network, "processes": processes})
    for line in requests:
        _renew_processor_time(start["seconds"])
        answer = _score(verify, Row(**json.loads(line), seconds=start["seconds"]), start["arguments"])
        # What filled the memory may still be alive, and so may a process that it started: the next row gets a new one.
        ends = answer.get("failure") == "out of memory" or _has_children()
        _reply(replies, {**answer, "ends": ends})
        if ends:
            requests.read()  # until the parent kills this process: if it ended first, nobody could find its children
            return


def _take_over_standard_streams() -> tuple[IO[str], IO[str]]:
    """Return the channel to the parent, and let the verifier's own reading and printing lead nowhere."""
    requests = os.fdopen(os.dup(0), encoding="ascii")
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, replies


def _isolate(*pipes: IO[str], use_namespaces: bool) -> tuple[bool, bool]:
    """Leave the parent's network and processes behind; return whether the kernel gave namespaces for each.

    With a PID namespace this goes on in a grandchild, the second process in it: the first one only waits, and when it
    is killed, the kernel kills all others. Without, Python's signals to the parents are refused.
    """
    if sys.platform == "linux":
        end_with_parent()
        ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1)
    sys.addaudithook(_refuse_network)
    if use_namespaces and new_namespaces(NEW_USERS | NEW_NETWORK | NEW_PIDS | NEW_IPC):
        _fork_and_wait(pipes)
        _fork_and_wait(pipes)
        ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1)
        return True, True
    network = use_namespaces and new_namespaces(NEW_USERS | NEW_NETWORK)
    _refuse_signals_to({os.getpid(), os.getppid(), 1})
    return network, False


def _fork_and_wait(pipes: tuple[IO[str], ...]) -> None:
    """Go on in a child; the parent waits, and ends as the child does."""
    child = os.fork()
    if child == 0:
        end_with_parent()
        return
    for pipe in pipes:
        os.close(pipe.fileno())
    status = os.waitpid(child, 0)[1]
    while os.WIFSTOPPED(status):
        status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    if code >= 0 and code <= 128:  # above are signals, as shells write them
        os._exit(code)
    number = -code if code < 0 else code - 128
    if os.getpid() != 1:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a namespace ignores its own signals


def _limit(memory_bytes: int, file_bytes: int, *, counts_own_processes: bool) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    # Before Linux 5.14 the limit counts all processes of the user, however many there are already.
    if counts_own_processes and tuple(map(int, platform.release().split(".")[:2])) >= (5, 14):
        resource.setrlimit(resource.RLIMIT_NPROC, (_MOST_PROCESSES, _MOST_PROCESSES))


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    is_internet_socket = event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6)
    if is_internet_socket or event in _NETWORK_EVENTS:
        raise PermissionError("a verifier has no network")


def _refuse_signals_to(parents: set[int]) -> None:
    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _SIGNAL_EVENTS and os.getpid() != arguments[0]:
            target = abs(int(arguments[0]))
            if target in parents - {os.getpid()} or target in (os.getppid(), 1) or int(arguments[0]) == 0:
                raise PermissionError("a verifier signals no process but its own")

    sys.addaudithook(refuse)


def _has_children() -> bool:
    """Tell whether a process that a row started is still there shortly after; those of other sessions are adopted."""
    end = time.monotonic() + _SECONDS_TO_END
    try:
        while os.waitpid(-1, os.WNOHANG)[0] or time.monotonic() < end:
            time.sleep(0.001)
    except ChildProcessError:
        return False
    return True


def _renew_processor_time(seconds: float) -> None:
    """Allow the next row its time: should the parent be gone, an endless loop ends all the same."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds) + 1, most))


def _find(name: str) -> Callable[..., Any]:
    """Return the function that "package.module:function" or "path/to/file.py:function" names."""
    place, _, function = name.rpartition(":")
    module = _load_file(place) if place.endswith(".py") else importlib.import_module(place)
    found = getattr(module, function)
    if not callable(found):
        raise TypeError(f"{function} is a {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


def _load_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ilf_kedro_verifier", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _score(verify: Callable[..., Any], row: Row, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        value = verify(row, **arguments)
        # A text of digits is no number: it has no __float__, though float() would take it.
        score = float(value) if hasattr(type(value), "__float__") else math.nan
    except MemoryError:
        return {"failure": "out of memory", "detail": ""}
    except Exception as error:  # noqa: BLE001  # whatever the user's function raises is this row's outcome
        return {"failure": "raised", "detail": _describe(error)}
    if not math.isfinite(score):
        return {"failure": "not a number", "detail": f"returned {_shorten(value)}"}
    return {"score": score}


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {_shorten(error, str)}"


def _shorten(value: object, show: Callable[[object], str] = repr) -> str:
    """Return a value's looks in a line; they too are the user's code, and may fail."""
    try:
        text = " ".join(show(value).split()).encode("ascii", "backslashreplace").decode("ascii")
    except Exception:  # noqa: BLE001  # a __repr__ of the user's that raises is described by its type
        text = f"a {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:200]}…"


def _reply(replies: IO[str], answer: dict[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
