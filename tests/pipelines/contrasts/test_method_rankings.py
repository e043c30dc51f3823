"""Ranks of methods from a file: what is wrong in it is told at once."""

from __future__ import annotations

import json

import pytest

from ilf_kedro.pipelines.contrasts.method_rankings import read_method_rankings
from ilf_kedro.schemas import InvalidDataError, RawRows
from ilf_kedro.tasks.reading import read_bytes


def raw(*rows: dict[str, object]) -> RawRows:
    return read_bytes("ranks.jsonl", "\n".join(map(json.dumps, rows)).encode())


def row(example: str = "e1", by: str = "human:anna", method: str = "ilf", rank: object = 1) -> dict[str, object]:
    return {"example_id": example, "judged_by": by, "method": method, "rank": rank, "all_bad": False}


def test_ranks_are_read_and_methods_take_the_names_of_models() -> None:
    found = read_method_rankings(raw(row(), row(method="base", rank=2)), ["e1"], {"ilf": "finetune.refinements.n8"})
    assert found.to_dict("records") == [
        {"example_id": "e1", "judged_by": "human:anna", "method": "finetune.refinements.n8", "rank": 1},
        {"example_id": "e1", "judged_by": "human:anna", "method": "base", "rank": 2},
    ]


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidDataError) as raised:
        read_method_rankings(raw(row(), row(rank=2), row(example="e9"), row(method="b", rank=0)), ["e1"])
    message = str(raised.value)
    assert "human:anna ranks ilf of e1, as in row 1" in message
    assert '"e9"' in message
    assert "a whole number from 1" in message
