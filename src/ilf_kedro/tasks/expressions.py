"""Columns by name or by JMESPath: what a row has there, checked against the columns that the data have."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions, signature

from ilf_kedro.schemas import nearest

__all__ = ["ITEM", "EvaluationError", "ExpressionError", "Getter", "compile_expression"]

ITEM = "item"
"""The name under which a member of an exploded list is seen."""

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'")
_PLAIN_NAME = re.compile(r"[^\W\d][\w -]*")


class _TextFunctions(Functions):
    """JMESPath's functions, and one for texts that hold several things, which it has no way to take apart."""

    @signature({"types": ["string"]}, {"types": ["string"]})
    def _func_match(self, pattern: str, text: str) -> str | None:
        found = re.search(pattern, text, re.DOTALL)
        return found and (found[1] if found.re.groups else found[0])


_OPTIONS = jmespath.Options(custom_functions=_TextFunctions())


class ExpressionError(ValueError):
    """An expression does not parse, or names a column that no row has."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found, self.expected = found, expected


class EvaluationError(ValueError):
    """An expression cannot be evaluated for one row."""


@dataclass(frozen=True, slots=True)
class Getter:
    """Returns what a row has at a column or an expression; `columns` are those that it reads."""

    text: str
    columns: frozenset[str]
    _path: Any = None

    @property
    def is_plain(self) -> bool:
        """Tell whether this is a column, not an expression."""
        return self._path is None

    def __call__(self, values: Mapping[str, object]) -> object:
        """Return the value; null where the row lacks it, or a function of the expression is given null.

        Raises:
            EvaluationError: a function of the expression is given a value that it does not take.
        """
        if self._path is None:
            return values.get(self.text)
        try:
            return self._path.search(values, _OPTIONS)
        except re.error as error:
            raise EvaluationError(f"a regular expression that does not parse ({error})") from None
        except JMESPathError as error:
            message = " ".join(str(error).split())
            if message.endswith('received: "null"'):
                return None
            raise EvaluationError(message) from None


def compile_expression(text: str, columns: Collection[str]) -> Getter:
    r"""Return the getter of a column of that name, or else of the JMESPath expression.

    In a quoted text of an expression, such as join('\n', feedback), \n is a line break. Beside JMESPath's own functions
    there is match(pattern, text): what the first group of a regular expression, else the whole of it, finds in a text;
    null where it finds nothing.

    Raises:
        ExpressionError: there is no such column and the text does not parse, or it reads a column that no row has.
    """
    if text in columns:
        return Getter(text, frozenset({text}))
    if _PLAIN_NAME.fullmatch(text):
        raise ExpressionError("no such column in any row", nearest(text, columns))
    try:
        path = jmespath.compile(_QUOTED.sub(lambda quoted: quoted[0].replace("\\n", "\n"), text))
    except JMESPathError as error:
        reason = " ".join(str(error).split(" For expression")[0].splitlines()[0].split()).rstrip(":")
        raise ExpressionError(
            f"an expression that does not parse ({reason})", f"JMESPath, or {nearest(text, columns)}"
        ) from None
    roots = _roots(dict(path.parsed))
    if unknown := sorted(roots - set(columns)):
        raise ExpressionError(
            f"an expression over {', '.join(map(repr, unknown))}, which no row has", nearest(unknown[0], columns)
        )
    return Getter(text, frozenset(roots), path)


_OF_FIRST_CHILD = {
    "subexpression",
    "pipe",
    "projection",
    "value_projection",
    "filter_projection",
    "index_expression",
}


def _roots(node: dict[str, Any]) -> set[str]:
    """Return the fields that a parsed expression reads of the row itself, not of what it has found there."""
    if node["type"] == "field":
        return {node["value"]}
    if node["type"] == "expref":
        return set()
    children = node.get("children", [])
    if node["type"] in _OF_FIRST_CHILD:
        children = children[:1]
    return set().union(*(_roots(child) for child in children if isinstance(child, dict)))
