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
import resource
import signal
import socket
import sys
from collections.abc import Callable
from types import ModuleType
from typing import IO, Any

from ilf_kedro.verifiers import Row

_NEW_USER_AND_NETWORK_NAMESPACE = 0x10000000 | 0x40000000  # CLONE_NEWUSER | CLONE_NEWNET
_SIGNAL_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG
_NETWORK_EVENTS = frozenset(
    f"socket.{name}"
    for name in ("connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo")
)


def main() -> None:
    """Answer until the input ends."""
    requests, replies = _take_over_standard_streams()
    start = json.loads(requests.readline())
    sys.path[:] = start["sys_path"]
    isolated = _isolate(start["memory_bytes"])
    try:
        verify = _find(start["callable"])
        inspect.signature(verify).bind(Row("", "", "", "", "", ""), **start["arguments"])
    except Exception as error:  # noqa: BLE001  # importing the user's file may raise anything: the parent says it
        _reply(replies, {"error": _describe(error)})
        return
    _reply(replies, {"isolated": isolated})
    for line in requests:
        _renew_processor_time(start["seconds"])
        answer = _score(verify, Row(**json.loads(line)), start["arguments"])
        _reply(replies, answer)
        if answer.get("failure") == "out of memory":
            return  # what filled the memory may still be alive: the next row gets a new process


def _take_over_standard_streams() -> tuple[IO[str], IO[str]]:
    """Return the channel to the parent, and let the verifier's own reading and printing lead nowhere."""
    requests = os.fdopen(os.dup(0), encoding="ascii")
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, replies


def _isolate(memory_bytes: int) -> bool:
    """Set the limits of this process; return whether the kernel gave it a network namespace of its own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    isolated = False
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_SIGNAL_AT_PARENTS_DEATH, signal.SIGKILL)
        isolated = bool(libc.unshare(_NEW_USER_AND_NETWORK_NAMESPACE) == 0)
    sys.addaudithook(_refuse_network)
    return isolated


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    is_internet_socket = event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6)
    if is_internet_socket or event in _NETWORK_EVENTS:
        raise PermissionError("a verifier has no network")


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
