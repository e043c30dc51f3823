"""What a cell must hold to be a text, an identifier, a group or messages; else what was found, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ilf_kedro.prompting.messages import MessagesError, messages_to_json, parse_messages
from ilf_kedro.schemas import show_value

__all__ = ["CellError", "as_group", "as_identifier", "as_messages", "as_text", "is_blank"]


class CellError(ValueError):
    """A cell holds what it may not; `found` and `expected` go into the message."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found, self.expected = found, expected


def is_blank(text: str) -> bool:
    """Tell whether nothing in the text can be seen: white space and zero-width characters only."""
    return not any(character.isprintable() and not character.isspace() for character in text)


def as_text(value: object, column: str) -> str | None:
    """Return the text in a cell, all its lines ended by a line feed alone; null for null and for what is blank.

    Raises:
        CellError: it holds something else, or half a surrogate pair.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise CellError(show_value(value), f"text{_remedy(value, column)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise CellError(show_value(value), "text without half a surrogate pair") from None
    return None if is_blank(value) else value.replace("\r\n", "\n")


def as_identifier(value: object, column: str) -> str | None:
    """Return a cell as an identifier: text as it is ("007" stays so) but for blanks around it, a whole number as text.

    Raises:
        CellError: it holds something else.
    """
    if isinstance(value, float) and value.is_integer():  # what a table makes of a whole number beside a null
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = as_text(value, column)
    return text.strip() if text else None


def as_group(value: object, column: str) -> str | None:
    """Return a cell as a group's name: text, or a number or truth value as text.

    Raises:
        CellError: it holds something else.
    """
    return show_value(value) if isinstance(value, bool | float) else as_identifier(value, column)


def as_messages(value: object, column: str) -> str | None:
    """Return the chat messages in a cell as a JSON list; null for null and for none.

    Raises:
        CellError: it holds something else.
    """
    if value is None:
        return None
    try:
        messages = parse_messages(value)
        for message in messages:
            as_text(message.content, column)
    except MessagesError as error:
        raise CellError(error.found, error.expected.replace("column", column)) from None
    return messages_to_json(messages) if any(not is_blank(message.content) for message in messages) else None


Reader = Callable[[object, str], str | None]


def _remedy(value: object, column: str) -> str:
    if isinstance(value, Mapping):
        keys = ", ".join(f"{column}.{key}" for key in list(value)[:3])
        return f"; name one of its parts ({keys})" if keys else ""
    if isinstance(value, Sequence):
        last = "[0]" if not value or isinstance(value[0], str) else "[0].key"
        return (
            f"; take one ({column}{last}), join them (join('\\n', {column})), or make an example of each "
            f"(explode: {column})"
        )
    return f"; turn it into text with to_string({column})"
