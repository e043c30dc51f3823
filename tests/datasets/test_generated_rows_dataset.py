"""Rows that a function makes: the same as those of a file, with its faults told by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DatasetError

from ilf_kedro.datasets import GeneratedRowsDataset


@pytest.fixture
def maker(tmp_path: Path) -> str:
    file = tmp_path / "maker.py"
    file.write_text(
        "def rows(n): return [{'id': f'0{i}', 'text': 'x'} for i in range(n)]\n"
        "def number(): return 3\n"
        "def broken(): raise RuntimeError('no luck')\n"
    )
    return str(file)


def test_a_functions_rows_are_numbered_and_hashed(maker: str) -> None:
    made = GeneratedRowsDataset(function=f"{maker}:rows", arguments={"n": 2}).load()
    assert [(row.number, row.values) for row in made.rows] == [
        (1, {"id": "00", "text": "x"}),
        (2, {"id": "01", "text": "x"}),
    ]
    other = GeneratedRowsDataset(function=f"{maker}:rows", arguments={"n": 3}).load()
    again = GeneratedRowsDataset(function=f"{maker}:rows", arguments={"n": 2}).load()
    assert made.content_hash == again.content_hash != other.content_hash
    assert len(made.content_hash or "") == 64


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        ("number", "made no rows .*expected a table or a list of dicts"),
        ("broken", "made no rows .*RuntimeError: no luck"),
        ("rows", "made no rows .*missing 1 required positional argument: 'n'"),
        ("absent", "cannot be used .*absent"),
    ],
)
def test_what_a_function_lacks_is_said(maker: str, function: str, fault: str) -> None:
    with pytest.raises(DatasetError, match=fault):
        GeneratedRowsDataset(function=f"{maker}:{function}").load()
