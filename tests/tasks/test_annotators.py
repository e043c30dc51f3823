"""Whose rows are left out, and that all others stay where they are."""

from __future__ import annotations

import pytest

from ilf_kedro.schemas import UserError
from ilf_kedro.tasks import Mapped, divide, map_rows, without_annotators
from tests.support.tasks import row, sources, task

OF_PEOPLE = task(
    columns={"example_id": "id", "initial_output": "draft", "feedback": "note", "annotator": "who"},
    splits={"train": 0.6, "development": 0, "validation": 0, "test": 0.4},
)


def mapped() -> Mapped:
    rows = [row(number, who=("anna", "ben", None)[number % 3]) for number in range(30)]
    return divide(OF_PEOPLE, map_rows(OF_PEOPLE, sources(all=rows)), 0).mapped


def ids(rows: Mapped) -> dict[str, list[str]]:
    return {split: [each.subject.example_id for each in of_split] for split, of_split in rows.examples.items()}


def test_all_other_rows_stay_in_their_split_and_order() -> None:
    whole = mapped()
    left = without_annotators(whole, ["anna"], "who")
    theirs = {f"r{number}" for number in range(0, 30, 3)}
    assert ids(left) == {split: [name for name in names if name not in theirs] for split, names in ids(whole).items()}
    assert sum(len(names) for names in ids(left).values()) == 20


def test_each_row_left_out_is_listed_with_its_reason() -> None:
    left = without_annotators(mapped(), ["anna", "ben"], "who")
    reasons = [fault for of_split in left.faults.values() for fault in of_split]
    assert len(reasons) == 20
    assert {(fault.file, fault.column, fault.found) for fault in reasons} == {
        ("all.jsonl", "who", "'anna'"),
        ("all.jsonl", "who", "'ben'"),
    }
    assert all("data_prep.without_annotators" in fault.expected for fault in reasons)


def test_a_name_that_no_row_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="'Ana', expected 'anna', perhaps"):
        without_annotators(mapped(), ["Ana"], "who")


def test_without_a_name_nothing_changes() -> None:
    assert without_annotators(mapped(), (), None) == mapped()
