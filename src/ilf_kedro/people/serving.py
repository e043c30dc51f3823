"""Run the page's server on this machine, or for others, who each have a link."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

import uvicorn

from ilf_kedro.people.annotators import count_links
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.languages import load_languages
from ilf_kedro.people.server import make_app

__all__ = ["LOOPBACK", "is_loopback", "serve"]

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    database: Database,
    *,
    host: str = LOOPBACK,
    port: int = 8080,
    languages: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve the campaign until the process is stopped; `certificate` (file and key) makes it https.

    Raises:
        CampaignError: another process serves it, or others could reach the page while nobody has a link.
    """
    if not is_loopback(host) and not database.do(count_links):
        raise CampaignError(
            f"--host {host} lets others reach the page, but nobody has a link yet; make one by `kedro annotate invite`"
        )
    words = load_languages(languages)
    lock = database.serve_alone()
    try:
        # A page that another site names as its own must not reach a server on this machine.
        hosts = ["127.0.0.1", "localhost", "[::1]"] if is_loopback(host) else None
        app = make_app(database, words, hosts, https=certificate is not None)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            # Addresses hold tokens: they are written nowhere.
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=3,
            ssl_certfile=str(certificate[0]) if certificate else None,
            ssl_keyfile=str(certificate[1]) if certificate else None,
        )
        server = uvicorn.Server(config)
        if ready:
            ready()
        server.run()
    finally:
        lock.release()
        database.close()
