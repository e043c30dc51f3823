"""What a mistyped name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["nearest", "suggest"]


def suggest(name: str, known: Iterable[str], *, at_most: int | None = None, otherwise: str = "") -> str:
    """Return a hint: the known name most like `name`, else all of them; `otherwise` where these are too many."""
    names = sorted(known)
    if meant := _closest(name, names):
        return f"did you mean {meant!r}?"
    if at_most is not None and len(names) > at_most:
        return otherwise
    return f"known: {', '.join(names) or 'none'}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what was expected: the known name most like `name`, else all of them, in their order."""
    names = list(known)
    meant = _closest(name, names)
    return f"{meant!r}, perhaps" if meant else f"one of {', '.join(names) or '(none)'}"


def _closest(name: str, names: Sequence[str]) -> str | None:
    folded = {each.casefold(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None
