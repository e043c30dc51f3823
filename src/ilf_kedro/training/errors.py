"""What can go wrong in a training through its data or options."""

from __future__ import annotations

__all__ = ["DivergedError", "ExampleError"]


class ExampleError(ValueError):
    """An example cannot be trained on: its label is empty, or leaves no room for its prompt."""


class DivergedError(RuntimeError):
    """The loss became infinite or not a number."""
