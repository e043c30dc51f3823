"""What a mistyped name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["suggest"]


def suggest(name: str, known: Iterable[str], *, at_most: int | None = None, otherwise: str = "") -> str:
    """Return a hint: the known name most like `name`, else all of them; `otherwise` where these are too many."""
    known = sorted(known)
    if close := difflib.get_close_matches(name, known, n=1):
        return f"did you mean {close[0]!r}?"
    if at_most is not None and len(known) > at_most:
        return otherwise
    return f"known: {', '.join(known) or 'none'}"
