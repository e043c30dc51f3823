"""One deadline for an attempt: the HTTP client's own time-out is for each read, and a server may drip for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

__all__ = ["Deadline"]


class Deadline:
    """Bounds what a thread sends and receives within `limit`: connection, headers and body together."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._of_thread = threading.local()

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Give what this thread does here so many seconds in all."""
        self._of_thread.end = time.monotonic() + self._seconds
        try:
            yield
        finally:
            self._of_thread.end = None

    def watch(self, transport: httpx2.BaseTransport | None) -> None:
        """Let all connections of a transport keep to the deadline."""
        if isinstance(transport, httpx2.HTTPTransport):
            pool = transport._pool  # noqa: SLF001  # httpcore takes a backend, httpx has no way to name one
            pool._network_backend = _Backend(pool._network_backend, self)  # noqa: SLF001

    def left(self, timeout: float | None) -> float | None:
        """Return how long one read or write may take.

        Raises:
            httpcore2.ReadTimeout: no time is left.
        """
        end: float | None = getattr(self._of_thread, "end", None)
        if end is None:
            return timeout
        left = end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left if timeout is None else min(left, timeout)

    def passed(self) -> httpcore2.ReadTimeout:
        """Return the error that says so."""
        return httpcore2.ReadTimeout(f"no whole answer in {self._seconds:g} seconds")


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._stream.read(max_bytes, self._deadline.left(timeout))
        except httpcore2.ReadTimeout:
            raise self._deadline.passed() from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, backend: httpcore2.NetworkBackend, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        own = self._backend.connect_tcp(host, port, self._deadline.left(timeout), local_address, socket_options)
        return _Stream(own, self._deadline)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
