"""Runs a function in a process of its own, for code that nobody has looked at.

On Linux, where the kernel allows it, the process is the first of a PID namespace: it sees and signals no process but
its own, and they all end with it, whatever session they are in. It has a folder of its own, and no open file but the
pipe over which it says that it succeeded, with a word that it was given. Code that searches its own process for that
word can forge a success, for it shares the process with what judges it.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import secrets
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress

__all__ = ["end_with_parent", "new_namespaces", "run_apart"]

NEW_USERS, NEW_PIDS, NEW_NETWORK, NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000  # CLONE_NEW…
_SIGNAL_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG
_MOST_FILES = 1 << 16


def new_namespaces(flags: int) -> bool:
    """Give this process (or, for PIDs, its children) namespaces of their own; tell whether the kernel did."""
    return sys.platform == "linux" and int(ctypes.CDLL(None).unshare(flags)) == 0


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_DEATH, signal.SIGKILL)


def run_apart(function: Callable[[], object], seconds: float) -> bool:
    """Tell whether a function returns within its time, called in a process and a folder of its own.

    One that raises, exits, crashes or stalls does not. All that it started is ended.
    """
    if seconds <= 0:
        return False
    receive, send = os.pipe()
    word = secrets.token_bytes(16)
    folder = tempfile.mkdtemp()
    keeper = os.fork()
    if keeper == 0:
        _keep(function, seconds, folder, word, send)
    os.close(send)
    try:
        return _read(receive, len(word), time.monotonic() + seconds) == word
    finally:
        os.close(receive)
        with suppress(ProcessLookupError):
            os.killpg(keeper, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _keep(function: Callable[[], object], seconds: float, folder: str, word: bytes, send: int) -> None:
    """Fork the process that calls the function, into a PID namespace, and wait for it; never returns."""
    try:
        os.setsid()
        end_with_parent()
        new_namespaces(NEW_PIDS)
        child = os.fork()
        if child == 0:
            _call(function, seconds, folder, word, send)
        os.close(send)
        os.waitpid(child, 0)
    finally:
        os._exit(0)


def _call(function: Callable[[], object], seconds: float, folder: str, word: bytes, send: int) -> None:
    """Call the function and send the word where it returns; never returns itself."""
    try:
        end_with_parent()
        os.closerange(3, send)
        os.closerange(send + 1, _MOST_FILES)
        os.chdir(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds) + 1, most))
        function()
        os.write(send, word)
    except BaseException:  # noqa: BLE001, S110  # whatever is raised is a failure, which saying nothing says
        pass
    finally:
        os._exit(0)


def _read(receive: int, n_bytes: int, end: float) -> bytes:
    """Read so many bytes, or what has come by the end of the time."""
    read = b""
    while len(read) < n_bytes and (left := end - time.monotonic()) > 0:
        if not select.select([receive], [], [], left)[0]:
            break
        part = os.read(receive, n_bytes - len(read))
        if not part:
            break
        read += part
    return read
