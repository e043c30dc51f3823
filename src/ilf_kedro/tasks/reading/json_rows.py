"""Rows out of JSON lines and JSON arrays, each fault named with its row."""

from __future__ import annotations

import json

from ilf_kedro.schemas import show_value

__all__ = ["parse_object"]


def parse_object(text: str) -> dict[str, object]:
    """Parse a JSON object; NaN, which Python writes for a missing number, is null.

    Raises:
        ValueError: it is none, in whatever way; it says how.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_refuse_repeated_keys,
            parse_constant=lambda name: None if name == "NaN" else float(name),
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"broken JSON ({error.msg}, at character {error.colno})") from error
    if not isinstance(value, dict):
        raise ValueError(show_value(value))
    return value


def _refuse_repeated_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"columns written twice: {', '.join(map(show_value, repeated))}")
    return values
