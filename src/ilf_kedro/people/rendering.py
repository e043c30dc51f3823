"""Texts for the page as runs of (class, text): the page sets them as text, so that nothing in them is ever markup."""

from __future__ import annotations

import difflib
import re
from itertools import groupby
from typing import Literal

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token
from pygments.util import ClassNotFound

__all__ = ["Run", "compare_texts", "highlight"]

Run = tuple[str, str]

_CLASSES = (
    (Comment, "comment"),
    (Keyword, "keyword"),
    (String, "string"),
    (Number, "number"),
    (Name.Function, "name"),
    (Name.Class, "name"),
    (Name.Builtin, "keyword"),
    (Operator.Word, "keyword"),
    (Token, ""),
)
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 4_000


def highlight(code: str, language: str | None) -> list[Run]:
    """Return the code in runs of one class each; joined, they are the code, byte for byte.

    A language that nobody knows gives the code without classes.
    """
    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False, ensurenl=False)
    except ClassNotFound:
        return [("", code)]
    tokens = [(next(name for kind, name in _CLASSES if token in kind), text) for token, text in lexer.get_tokens(code)]
    runs = [(name, "".join(text for _, text in group)) for name, group in groupby(tokens, key=lambda pair: pair[0])]
    # A lexer unifies line ends; where that (or anything else) changes the code, it is shown as it is.
    return runs if "".join(text for _, text in runs) == code else [("", code)]


def compare_texts(old: str, new: str) -> list[tuple[Literal["same", "removed", "added"], str]]:
    """Return what stays, goes and comes from the old text to the new one, by words (by lines in long texts)."""
    a, b = _WORDS.findall(old), _WORDS.findall(new)
    if len(a) + len(b) > _MOST_WORDS:
        a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    runs: list[tuple[Literal["same", "removed", "added"], str]] = []
    for tag, a_from, a_to, b_from, b_to in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            runs.append(("same", "".join(a[a_from:a_to])))
            continue
        if a_to > a_from:
            runs.append(("removed", "".join(a[a_from:a_to])))
        if b_to > b_from:
            runs.append(("added", "".join(b[b_from:b_to])))
    return runs
