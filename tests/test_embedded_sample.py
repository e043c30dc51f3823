"""The sample in git is what its data card says: SLF5K's columns, sizes and lengths, without a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.schemas import RawRows
from ilf_kedro.tasks.reading import read_bytes
from tests.support.raw_rows import mapped

FOLDER = Path(__file__).parents[1] / "data" / "01_raw" / "slf5k_sample"
SIZES = {"train": 40, "development": 8, "validation": 12, "test": 12}
A, B = "generated_summary_for_comparison_A", "generated_summary_for_comparison_B"
OF_FEEDBACK = {"feedback", "feedback_class", "has_additional_feedback"}


@pytest.fixture(scope="module")
def raw() -> dict[str, RawRows]:
    return {split: read_bytes(f"{split}.jsonl", (FOLDER / f"{split}.jsonl").read_bytes()) for split in SIZES}


@pytest.fixture(scope="module")
def splits(raw: dict[str, RawRows]) -> dict[str, list[dict[str, Any]]]:
    return {split: [dict(row.values) for row in rows.rows] for split, rows in raw.items()}


@pytest.fixture(scope="module")
def rows(splits: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for split in splits.values() for row in split]


def test_the_splits_have_their_sizes(splits: dict[str, list[dict[str, Any]]]) -> None:
    assert {split: len(rows) for split, rows in splits.items()} == SIZES


def test_ids_and_posts_are_unique_over_all_splits(rows: list[dict[str, Any]]) -> None:
    for column in ("id", "post"):
        assert len({" ".join(row[column].split()).casefold() for row in rows}) == len(rows), column


def test_inputs_are_of_many_subreddits_and_of_a_forum_posts_length(rows: list[dict[str, Any]]) -> None:
    assert len({row["subreddit"] for row in rows}) >= 12
    lengths = {row["id"]: len(row["post"].split()) for row in rows}
    assert {each: n for each, n in lengths.items() if not 100 <= n <= 300} == {}


def test_ideal_outputs_fit_into_what_a_model_may_write(rows: list[dict[str, Any]], tiny_model_directory: Path) -> None:
    """48 tokens; the tiny model has the embedded model's tokenizer."""
    tokenizer = Tokenizer.from_file(str(tiny_model_directory / "tokenizer.json"))
    lengths = {
        row["id"]: len(tokenizer.encode(row["ideal_human_summary"], add_special_tokens=False).ids) for row in rows
    }
    assert {each: n for each, n in lengths.items() if not 5 <= n <= 48} == {}


def test_every_row_compares_two_different_outputs(rows: list[dict[str, Any]]) -> None:
    assert {row["comparison_preference"] for row in rows} == {"Summary A", "Summary B"}
    assert [
        row["id"] for row in rows if row[A].strip() == row[B].strip() or not row[A].strip() or not row[B].strip()
    ] == []


def test_only_the_test_split_has_no_feedback(splits: dict[str, list[dict[str, Any]]]) -> None:
    for split, rows in splits.items():
        for row in rows:
            found = {column for column in OF_FEEDBACK if row.get(column) not in (None, "")}
            assert found == (set() if split == "test" else OF_FEEDBACK), row["id"]


def test_data_prep_finds_no_fault(raw: dict[str, RawRows]) -> None:
    *tables, rejected = mapped(*raw.values(), options=DataPrepOptions(on_invalid="stop"))
    assert len(rejected) == 0
    assert [len(table) for table in tables] == [*SIZES.values(), *SIZES.values()]
