"""How messages count things."""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, noun: str) -> str:
    """Return a number and its noun: "1 fault", "2 faults"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
