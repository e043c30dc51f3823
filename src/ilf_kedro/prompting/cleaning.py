"""What is made of a completion: its sentences, the text as it is, its code, or what a function says."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from ilf_kedro.prompting.post_processing import clean_completion
from ilf_kedro.schemas import UserError
from ilf_kedro.schemas.functions import find_function

__all__ = ["Cleaner", "cleaner", "extract_code", "strip_blank_lines"]

Cleaner = Callable[[str, bool], str]
"""Returns the output in a completion, given whether the completion ended by length; empty where there is none."""

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+#.-]*)[^\n`]*(?:\n|\Z)", re.MULTILINE)
_CODE_BEGINS = re.compile(r"(?:async )?def \w+\(|class \w+[(:]|import \w+|from [\w.]+ import |@\w|#|\"\"\"|'''")


def cleaner(name: str) -> Cleaner:
    """Return the cleaning of this name: sentences, verbatim, code, or package.module:function or file.py:function.

    A function of the user's own takes the completion and returns the output; it is called for every completion.

    Raises:
        UserError: there is no such function, with the reason.
    """
    if name == "sentences":
        return lambda text, ended_by_length: clean_completion(text, ended_by_length=ended_by_length)
    if name == "verbatim":
        return lambda text, _: strip_blank_lines(text)
    if name == "code":
        return lambda text, _: extract_code(text)
    function = find_function(name, where="task.output.clean", expected="sentences, verbatim, code, or ")

    def clean(text: str, ended_by_length: bool) -> str:  # a cleaner's shape
        cleaned = function(text)
        if not isinstance(cleaned, str):
            raise UserError(f"task.output.clean: {name} returned a {type(cleaned).__name__}, expected text")
        return cleaned

    return clean


def strip_blank_lines(text: str) -> str:
    """Return the text without blank lines around it, and without blanks at its end; empty where nothing can be seen."""
    if not text.strip():
        return ""
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", text).rstrip()


def extract_code(text: str) -> str:
    """Return the code in a completion: its first fenced block, else its lines up to where the code ends.

    A fence that is never closed reaches to the end. Without a fence, lines of prose before the code go, and the code
    ends where an unindented line begins that no longer parses with what stands before it; what never parses stays.
    """
    code = strip_blank_lines(_fenced(text))
    return _parsing_part(code) or _parsing_part(_without_prose(code)) or code


def _fenced(text: str) -> str:
    """Return the first block that is not blank, the code before a fence that the prompt has opened, or else all."""
    place = 0
    while opening := _FENCE.search(text, place):
        fence = opening[1]
        closing = re.compile(rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", re.MULTILINE)
        end = closing.search(text, opening.end())
        before = strip_blank_lines(text[: opening.start()])
        if not opening[2] and (_CODE_BEGINS.match(before) or _is_code(before)):
            return before
        block = text[opening.end() : end.start() if end else len(text)]
        if block.strip() or end is None:
            return block
        place = end.end()
    return text


def _without_prose(code: str) -> str:
    """Drop the lines before the first that looks like code's."""
    lines = code.split("\n")
    place = next((n for n, line in enumerate(lines) if _CODE_BEGINS.match(line)), 0)
    return "\n".join(lines[place:])


def _parsing_part(code: str) -> str:
    """Return the longest beginning that parses and ends before an unindented line; empty where none does."""
    lines = code.split("\n")
    ends = [n for n, line in enumerate(lines) if n and line[:1].strip() and not line.startswith((")", "]", "}"))]
    for end in (len(lines), *reversed(ends)):
        part = "\n".join(lines[:end]).rstrip()
        if part and _is_code(part):
            return part
    return ""


def _is_code(text: str) -> bool:
    """Tell whether a text is Python that does something: a word or a sentence that happens to parse is not."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Name | ast.Constant)) for each in body)
