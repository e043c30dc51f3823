"""Verifiers that do what the refinement names: for tests of what a verifier is kept from."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

from ilf_kedro.verifiers import Row


def obey(row: Row, *, port: int = 0) -> object:
    """Do what the output says; "reply …" writes these bytes where the answer goes."""
    if row.output.startswith("reply "):
        return reply(bytes.fromhex(row.output.removeprefix("reply ")))
    return ORDERS[row.output](port)


def reply(content: bytes) -> None:
    for descriptor in range(3, 16):
        with suppress(OSError):
            os.write(descriptor, content)
    time.sleep(600)


def write_endlessly(_: int) -> None:
    while True:
        for descriptor in range(3, 16):
            with suppress(OSError):
                os.write(descriptor, b"x" * 4096)


def leave(*, wait: bool) -> int:
    """Start a process in a session of its own, which the marker in its command line names."""
    command = [sys.executable, "-c", "import time; time.sleep(600)", os.environ["TMPDIR"]]
    for descriptors in (None, subprocess.DEVNULL):
        subprocess.Popen(command, start_new_session=True, stdout=descriptors)
    if wait:
        time.sleep(600)
    return 1


def leave_a_grandchild(_: int) -> int:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            leave(wait=True)
        os._exit(0)
    time.sleep(0.5)
    return 1


def kill(target: int) -> int:
    os.kill(target, 9)
    return 1


def kill_by_c(target: int) -> int:
    return 1 + int(ctypes.CDLL(None).kill(target, 9))


def fork_often(_: int) -> int:
    for _ in range(400):
        with suppress(OSError):
            if os.fork() == 0:
                time.sleep(600)
    return 1


def fill_a_file(_: int) -> int:
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(200):
            file.write(b"x" * 2**20)
            file.flush()
    return 1


def loop(_: int) -> None:
    while True:
        pass


def connect_in_a_child(port: int) -> float:
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5)"
    return float(subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0)


def connect_by_c(port: int) -> float:
    """Connect without Python's sockets; 1 where it worked."""
    libc = ctypes.CDLL(None)
    address = (2).to_bytes(2, "little") + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    return float(libc.connect(libc.socket(2, 1, 0), address, len(address)) == 0)


def raise_oddly(_: int) -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    raise OddError


def close_every_file(_: int) -> None:
    os.closerange(0, 256)
    time.sleep(600)


def talk(_: int) -> float:
    sys.stdout.write('{"score": 99}\n')
    sys.stdout.flush()
    os.write(1, b'{"score": 99}\n')
    return 2.0 if sys.stdin.read() == "" else 3.0


def write_a_file(_: int) -> float:
    with tempfile.NamedTemporaryFile() as file:
        return float(file.write(b"abc"))


ORDERS = {
    "one": lambda _: 1,
    "true": lambda _: True,
    "nan": lambda _: float("nan"),
    "infinite": lambda _: float("-inf"),
    "huge": lambda _: 10**400,
    "nothing": lambda _: None,
    "digits": lambda _: "3",
    "complex": lambda _: 1 + 2j,
    "raise": lambda _: [][1],
    "raise oddly": raise_oddly,
    "loop": loop,
    "sleep": lambda _: time.sleep(600),
    "memory": lambda _: len(bytearray(3 * 2**30)),
    "exit": lambda _: sys.exit(0),
    "_exit": lambda _: os._exit(3),
    "write endlessly": write_endlessly,
    "leave": lambda _: leave(wait=False),
    "leave and wait": lambda _: leave(wait=True),
    "leave a grandchild": leave_a_grandchild,
    "kill the parent": lambda _: kill(os.getppid()),
    "kill the parent by C": lambda _: kill_by_c(os.getppid()),
    "kill": kill,
    "kill by C": kill_by_c,
    "kill all": lambda _: kill(-1),
    "kill the group": lambda _: kill(0),
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "fork": fork_often,
    "fill a file": fill_a_file,
    "abort": lambda _: os.abort(),
    "close": close_every_file,
    "talk": talk,
    "file": write_a_file,
    "connect": lambda port: socket.create_connection(("127.0.0.1", port), timeout=5) and 1,
    "name": lambda _: len(socket.getaddrinfo("example.org", 80)),
    "connect in a child": connect_in_a_child,
    "connect by C": connect_by_c,
    "secrets": lambda _: float(any("hunter2" in value for value in os.environ.values())),
    "core": lambda _: float(os.environ.get("PYTHONHASHSEED") == "0"),
}
