"""Verifiers that do what the refinement names: for tests of what a verifier is kept from."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ilf_kedro.verifiers import Row


def obey(row: Row, *, port: int = 0) -> object:
    """Do what the refinement says."""
    return ORDERS[row.refinement](port)


def loop(_: int) -> None:
    while True:
        pass


def sleep_in_a_child(_: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["TMPDIR"], "child").write_text(str(child.pid))
    child.wait()


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
    "child": sleep_in_a_child,
    "memory": lambda _: len(bytearray(3 * 2**30)),
    "exit": lambda _: sys.exit(0),
    "_exit": lambda _: os._exit(3),
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
