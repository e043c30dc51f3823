"""Verifiers that tell what arrived."""

from __future__ import annotations

from ilf_kedro.verifiers import Row


def place(row: Row, *, names: list[str]) -> int:
    """Return the place of the field that holds the refinement's text."""
    return [row[name] for name in names].index(row.output)


def checksum(row: Row) -> float:
    """Return a number that depends on every character of the refinement and the post, and its place."""
    return float(
        sum(place * ord(character) for place, character in enumerate(f"{row.output}\0{row.text('post')}", start=1))
    )
