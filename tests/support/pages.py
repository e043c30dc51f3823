"""A campaign's page, really served, and a real browser to look at it."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import uvicorn

from ilf_kedro.people import Database, invite
from ilf_kedro.people.annotators import acknowledge, get_annotator
from ilf_kedro.people.languages import load_languages
from ilf_kedro.people.server import make_app

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")


class ServedPage:
    """The page of a campaign on a free port of this machine, in a thread; it can be stopped and started again."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        app = make_app(self.database, load_languages(), ["127.0.0.1", "localhost"])
        config = uvicorn.Config(app, port=self.port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)

    def link(self, name: str = "anna", language: str | None = "en", *, read: bool = True) -> str:
        """A link for the annotator, who has read the instructions already."""
        token = self.database.do(invite, name, language)
        if read:
            annotator = self.database.do(get_annotator, name)
            self.database.do(acknowledge, annotator.annotator_id, 1)
        return f"{self.address}/enter/{token}"

    def client(self, name: str = "anna", *, read: bool = True) -> httpx2.Client:
        """A client that has followed the annotator's link, as a browser would."""
        headers = {"X-Annotation": "1"}
        client = httpx2.Client(
            base_url=self.address, headers=headers, follow_redirects=True, timeout=30, trust_env=False
        )
        client.get(self.link(name, read=read))
        return client

    def __enter__(self) -> ServedPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def browser_context(playwright: Playwright, **options: Any) -> Iterator[BrowserContext]:
    """A fresh profile of Chromium."""
    with tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS, locale="en-GB", **options
        )
        context.set_default_timeout(10_000)
        try:
            yield context
        finally:
            context.close()


def wait_until(page: Page, condition: str) -> None:
    """Wait for an expression to hold (playwright's own way needs eval, which the page forbids)."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"in vain: {condition}")
