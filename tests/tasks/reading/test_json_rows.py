"""JSON lines end at line feeds alone, and a byte that is not UTF-8 hides no other row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.tasks.reading import read_bytes
from ilf_kedro.tasks.reading.json_rows import split_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ()),
        ("\n", ("",)),
        ("a\nb\n", ("a", "b")),
        ("a\r\n\r\nb\r\n", ("a", "", "b")),
        ("é\u2028😀\x85\x0b\n", ("é\u2028😀\x85\x0b",)),
        ("a\rb\n", ("a\rb",)),
    ],
)
def test_lines_end_at_line_feeds_only(text: str, lines: tuple[str, ...]) -> None:
    assert split_lines(text) == lines


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.booleans())
def test_any_texts_come_back(texts: list[str], windows: bool) -> None:
    lines = (json.dumps({"x": text}, ensure_ascii=False) + ("\r\n" if windows else "\n") for text in texts)
    read = read_bytes("x.jsonl", "".join(lines).encode("utf-8-sig"))
    assert not read.faults
    assert [row.values["x"] for row in read.rows] == texts


def test_one_byte_that_is_not_utf8_hides_no_other_row() -> None:
    read = read_bytes("x.jsonl", b'\xef\xbb\xbf{"x": "good"}\n{"x": "caf\xe9"}\n{"x": "\xc3\xa9"}\n')
    assert [row.values["x"] for row in read.rows] == ["good", "é"]
    assert [(fault.row, fault.found) for fault in read.faults] == [(2, "the byte 0xe9, which is not UTF-8")]
