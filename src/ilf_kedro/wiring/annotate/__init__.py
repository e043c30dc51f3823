"""`kedro annotate`: make a campaign, serve its page, and bring answers out and in."""

from __future__ import annotations

from ilf_kedro.wiring.annotate import answers, creating, serving  # noqa: F401  # each adds its commands
from ilf_kedro.wiring.annotate.group import annotate

__all__ = ["annotate"]
