"""Every fault of a file of rankings is found at once, and named with its row."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.pipelines.tournament.ranked_lines import read_rankings
from ilf_kedro.schemas import InvalidDataError
from ilf_kedro.tasks.reading import read_bytes
from tests.support import example_tables

DEVELOPMENT = example_tables.examples(3, "development")


def row(**changes: object) -> dict[str, object]:
    candidates = [{"text": "one", "rank": 1}, {"text": "two", "rank": 2}]
    return {"example_id": "development-0", "ranked_by": "human:anna", "candidates": candidates, **changes}


def read(*rows: dict[str, object] | str) -> pd.DataFrame:
    lines = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in rows)
    return read_rankings(read_bytes("rankings.jsonl", lines.encode()), DEVELOPMENT)


def test_rankings_become_rows_in_the_order_of_the_file() -> None:
    initial = {"text": "Initial  0 ", "rank": 2, "is_initial_output": True}
    table = read(row(candidates=[{"text": "one", "rank": 1}, initial, {"text": "two", "rank": 2}]))
    assert table[["sample_index", "text", "rank", "is_initial_output"]].to_numpy().tolist() == [
        [0, "one", 1, False],
        [1, "Initial  0 ", 2, True],
        [2, "two", 2, False],
    ]


def test_a_text_that_two_people_ranked_is_one_candidate() -> None:
    other = [{"text": "TWO ", "rank": 1}, {"text": "three", "rank": 2}]
    table = read(row(), row(ranked_by="judge:m", candidates=other))
    assert table["sample_index"].tolist() == [0, 1, 1, 2]
    assert table["ranked_by"].tolist() == ["human:anna", "human:anna", "judge:m", "judge:m"]


ONE, TWO = {"text": "one", "rank": 1}, {"text": "two", "rank": 2}
INITIAL = {"text": "initial 0", "rank": 3, "is_initial_output": True}
FAULTS: list[tuple[dict[str, object] | str, str]] = [
    ("{", "(row): found broken JSON"),
    (row(ranked_by="anna"), 'ranked_by: found "anna"; expected who ranked: "human:<name>"'),
    (row(ranked_by="human: "), "ranked_by: found"),
    (row(example_id="train-0"), 'example_id: found "train-0"; expected the id of one of the 3 examples'),
    (row(candidates=[ONE]), "candidates: found 1 candidate besides the initial output; expected 2 or more"),
    (row(candidates=[ONE, INITIAL]), "candidates: found 1 candidate besides the initial output"),
    (row(candidates=[ONE, {**TWO, "text": " One"}]), "candidates: found 1 candidate with a text that another has"),
    (row(candidates=[ONE, {**TWO, "rank": 0}]), "candidates[1].rank: found 0; expected a whole number from 1"),
    (
        row(candidates=[ONE, {**TWO, "rank": 1_000_001}]),
        "candidates[1].rank: found 1000001; expected a whole number from 1 (the best) to 1,000,000",
    ),
    (row(candidates=[ONE, {**TWO, "rank": 10**30}]), "candidates[1].rank: found 1000000000000000000000000000000"),
    (json.dumps(row()).replace('"rank": 2', '"rank": ' + "1" * 5000), "(row): found"),
    (json.dumps(row()).replace('"rank": 2', '"rank": 1e999'), "candidates[1].rank: found Infinity"),
    (
        json.dumps(row()).replace('"two"', '"\\ud83d two"'),
        r'candidates[1].text: found "\ud83d two"; expected text that is not empty, without half a surrogate',
    ),
    (json.dumps(row()).replace('"two"', '"\u200b"'), "candidates[1].text: found"),
    (json.dumps(row())[:-1] + ', "example_id": "x"}', '(row): found columns written twice: "example_id"'),
    (
        json.dumps(row())[:-1] + ', "x": ' + "[" * 90_000 + "]" * 90_000 + "}",
        "(row): found JSON that is nested too deeply",
    ),
    (row(candidates=[ONE, {**TWO, "rank": 1.5}]), "candidates[1].rank: found 1.5; expected a whole number"),
    (row(candidates=[ONE, {**TWO, "rank": "2"}]), 'candidates[1].rank: found "2"; expected a whole number'),
    (row(candidates=[{"rank": 1}, TWO]), "candidates[0].text: found no such column; expected text"),
    (row(candidates=[ONE, {**TWO, "text": " "}]), 'candidates[1].text: found " "; expected text that is not empty'),
    (row(candidates=[ONE, {**TWO, "score": 3}]), "candidates[1].score: found an unknown column"),
    (row(rankedby="x"), "rankedby: found an unknown column; expected 'ranked_by', perhaps"),
    (
        row(candidates=[ONE, TWO, {**INITIAL, "text": "else"}]),
        "candidates[2].is_initial_output: found true for another text",
    ),
    (
        row(candidates=[ONE, TWO, INITIAL, {**INITIAL, "text": "x"}]),
        "candidates: found 2 candidates with is_initial_output; expected one at most",
    ),
    (
        row(candidates=[ONE, TWO, {"text": "initial 0", "rank": 3}]),
        "candidates[2].is_initial_output: found false for the initial output itself; expected true",
    ),
]


@pytest.mark.parametrize(("faulty", "message"), FAULTS)
def test_a_fault_is_named_with_its_row_and_what_was_expected(faulty: dict[str, object] | str, message: str) -> None:
    others = (row(ranked_by="human:ben"), row(example_id="development-1"))
    with pytest.raises(InvalidDataError) as caught:
        read(others[0], faulty, others[1])
    assert "The raw data have 1 fault in 1 row:" in str(caught.value)
    assert f"rankings.jsonl:2 {message}" in str(caught.value)


def test_all_faults_come_together() -> None:
    with pytest.raises(InvalidDataError) as caught:
        read(*(faulty for faulty, _ in FAULTS))
    assert f"in {len(FAULTS)} rows:" in str(caught.value)


def test_one_ranker_ranks_an_example_once() -> None:
    with pytest.raises(InvalidDataError, match=r":3 ranked_by: found human:anna ranks development-0, as in row 1"):
        read(row(), row(ranked_by="human:ben"), row())


def test_an_empty_file_is_a_fault() -> None:
    with pytest.raises(InvalidDataError, match="an empty file"):
        read("")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=2, max_size=5))
def test_any_texts_are_either_kept_letter_by_letter_or_explained(texts: list[str]) -> None:
    candidates = [{"text": text, "rank": place} for place, text in enumerate(texts, start=1)]
    try:
        table = read(row(candidates=candidates))
    except InvalidDataError as error:
        assert "rankings.jsonl:1" in str(error)  # noqa: PT017  # either way is right
    else:
        assert table["text"].tolist() == texts
