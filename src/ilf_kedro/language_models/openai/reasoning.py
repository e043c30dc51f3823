"""Thoughts that a reasoning model writes into its answer."""

from __future__ import annotations

import re

_NAMES = r"(?:seed:)?(?:think(?:ing)?|thought|reasoning)"
# An opening tag at the beginning, or none where the chat template wrote it; a closing one, or none where the
# tokens did not suffice.
_CLOSED = re.compile(rf"\A.*?(?:</{_NAMES}>|\[/THINK\]|◁/think▷)\s*", re.DOTALL)
_OPENED = re.compile(rf"\A\s*(?:<{_NAMES}>|\[THINK\]|◁think▷)", re.DOTALL)
_ANY_OPENING = re.compile(rf"<{_NAMES}>|\[THINK\]|◁think▷")


def is_thought(token: str) -> bool:
    """Tell whether a first token begins thoughts: a tag, or the beginning of one."""
    stripped = token.strip()
    return bool(_OPENED.match(stripped)) or stripped in ("<think", "[TH", "<|channel|>", "◁think")


def strip_reasoning(text: str) -> tuple[str, bool]:
    """Return the text without the thoughts at its beginning, and whether there were any.

    Thoughts that are not closed are the whole text: nothing of it is the answer.
    """
    opened = _OPENED.match(text)
    closed = _CLOSED.match(text)
    if closed and (opened or not _ANY_OPENING.search(closed.group())):
        return text[closed.end() :], True
    return ("", True) if opened else (text, False)
