"""The code sample is what its data card says: unit tests that run, and feedback on programs that a model wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ilf_kedro.schemas import SPLITS
from ilf_kedro.scoring.verifier_process import VerifierOptions, VerifierProcess
from ilf_kedro.tasks import Offer, Task, comparisons_table, divide, examples_table, fields_of, map_rows
from ilf_kedro.tasks.reading import read_rows
from ilf_kedro.verifiers import Row

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "data" / "01_raw" / "code_sample"
SIZES = {"train": 24, "development": 6, "validation": 6, "test": 12}


@pytest.fixture(scope="module")
def splits() -> dict[str, list[dict[str, Any]]]:
    return {
        split: [json.loads(line) for line in (FOLDER / f"{split}.jsonl").read_text("utf-8").splitlines()]
        for split in SIZES
    }


def test_it_is_mapped_without_a_fault_by_its_environment(splits: dict[str, list[dict[str, Any]]]) -> None:
    task = Task.model_validate(yaml.safe_load((ROOT / "conf" / "code" / "parameters_task.yml").read_text())["task"])
    mapped = divide(task, map_rows(task, {split: read_rows(FOLDER / f"{split}.jsonl") for split in SIZES}), 0).mapped
    assert not mapped.every_fault
    examples = {split: examples_table(task, split, mapped.examples[split]) for split in SPLITS}
    comparisons = {split: comparisons_table(task, split, mapped.comparisons[split]) for split in SPLITS}
    offer = Offer.of(task, examples, comparisons)
    assert {split: has.examples for split, has in offer.splits.items()} == SIZES
    assert [offer.has("feedback", split) for split in SPLITS] == [True, True, True, False]
    assert not offer.has("comparisons")
    fields = fields_of(task, examples["train"].to_dict("records")[0])
    assert fields["tests"] == splits["train"][0]["tests"]


def test_every_row_but_of_test_has_feedback_and_ids_and_problems_are_unique(
    splits: dict[str, list[dict[str, Any]]],
) -> None:
    rows = [row for of_split in splits.values() for row in of_split]
    assert len({row["id"] for row in rows}) == len({row["problem"] for row in rows}) == 48
    assert all(row["feedback"] for split in SIZES if split != "test" for row in splits[split])
    assert not any("feedback" in row for row in splits["test"])


def test_every_corrected_program_passes_its_tests_and_few_initial_ones_do(
    splits: dict[str, list[dict[str, Any]]],
) -> None:
    options = VerifierOptions(callable="ilf_kedro.verifiers:passes_tests", seconds=30)
    rows = [row for of_split in splits.values() for row in of_split]
    with VerifierProcess(options) as process:
        corrected = [process.score(Row(row["corrected_program"], fields=row)).score for row in rows]
        initial = [process.score(Row(row["initial_program"], fields=row)).score for row in rows]
    assert corrected == [1.0] * 48
    assert sum(score == 1.0 for score in initial) == 3
    assert None not in initial
