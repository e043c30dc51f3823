"""Annotators that tests name in the parameters of rounds, in place of people."""

from __future__ import annotations

from ilf_kedro.verifiers import Row


def annotate(row: Row, *, manner: str) -> str:
    """Say what is seen of the row: the output, and the data's feedback and reference."""
    return f"{manner}: {row.output} ({row['feedback']}, {row['reference']})"


def numbered(row: Row, *, manner: str) -> int:
    """Return no text."""
    return len(row.output) + len(manner)


def broken(row: Row, *, manner: str) -> str:
    """Raise."""
    return f"{manner}{row['no such field']}"
