"""Every kind of fault is found, and named with its file, row, column and what was expected."""

from __future__ import annotations

import json

import pytest

from ilf_kedro.pipelines.data_prep.nodes import map_splits
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.schemas import InvalidDataError
from tests.support.raw_rows import TASK, mapped, raw, raw_splits, row

STOP = DataPrepOptions(on_invalid="stop")
QUARANTINE = DataPrepOptions(on_invalid="quarantine")


FAULTY_LINES: list[tuple[dict[str, object] | str, str]] = [
    ("{broken", "(row): found broken JSON (Expecting property name enclosed in double quotes, at character 2)"),
    ('{"id": "a", "post"', "(row): found broken JSON"),
    ('["a", "b"]', '(row): found ["a", "b"]; expected one JSON object on each line'),
    ("null", "(row): found null; expected one JSON object on each line"),
    ('{"id": "a", "post": "b", "post": "c"}', '(row): found columns written twice: "post"'),
    (row("a", id=...), "id: found no such column; expected text that is not empty (task.columns.example_id)"),
    (row("a", post=...), "post: found no such column; expected text that is not empty (task.inputs.post)"),
    (row("a", id=None), "id: found null; expected text that is not empty"),
    (row("a", id=" "), 'id: found " "; expected text that is not empty'),
    (row("a", post=""), 'post: found ""; expected text that is not empty'),
    (row("a", post=" \n\u200b\u00a0"), "post: found"),
    (row("a", post=["b"]), 'post: found ["b"]; expected text; take one (post[0]), join them'),
    (row("a", title=3.5), "title: found 3.5; expected text; turn it into text with to_string(title)"),
    (row("a", feedback=True), "feedback: found true; expected text"),
    (row("a", comparison_preference="A"), 'comparison_preference: found "A"; expected one of "Summary A", "Summary B"'),
    (
        row("a", generated_summary_for_comparison_B=None),
        "comparison_preference: found a preference, but nothing in generated_summary_for_comparison_B; expected both",
    ),
    (
        json.dumps(row("a", post="caf\udce9 \udcff"), ensure_ascii=False),
        "(row): found the byte 0xe9, which is not UTF-8; expected UTF-8",
    ),
    ("caf\udce9", "(row): found the byte 0xe9, which is not UTF-8"),
    (json.dumps(row("a", feedback="half \ud83d")), r'feedback: found "half \ud83d"; expected text without half'),
]


@pytest.mark.parametrize(("line", "expected"), FAULTY_LINES)
def test_names_file_row_and_column(line: dict[str, object] | str, expected: str) -> None:
    files = raw_splits(validation=raw("validation", row("good"), line))
    with pytest.raises(InvalidDataError) as caught:
        mapped(*files, options=STOP)
    message = str(caught.value)
    assert len(caught.value.faults) == 1
    assert "validation.jsonl:2 " in message
    assert expected in message
    message.encode("utf-8")  # can be printed


def test_quarantine_sets_aside_exactly_the_faulty_lines() -> None:
    lines = [line for line, _ in FAULTY_LINES]
    good = [row(f"good-{number}") for number in range(len(lines))]
    mixed = [line for pair in zip(good, lines, strict=True) for line in pair]
    *tables, rejected = mapped(*raw_splits(validation=raw("validation", *mixed)), options=QUARANTINE)
    assert tables[2]["example_id"].tolist() == [line["id"] for line in good]
    assert sorted(set(rejected["row"])) == list(range(2, 2 * len(lines) + 1, 2))
    assert set(rejected["file"]) == {"validation.jsonl"}


def test_lists_all_faults_of_all_files_at_once() -> None:
    files = raw_splits(
        train=raw("train", "{", row("t1", post=" "), row("t2"), row("t2", post="Another post.")),
        development=raw("development", row("d1", title=1), row("d2", title=1), row("d3"), row("d4", title=1)),
        validation=raw("validation", "", "  "),
        test=raw("test", row("T2 "), row("e1", post="the  POST of t2."), row("e2", id=5, post=None)),
    )
    with pytest.raises(InvalidDataError) as caught:
        mapped(*files, options=STOP)
    lines = str(caught.value).splitlines()
    starts = [
        "The raw data have 10 faults in 10 rows:",
        "  train.jsonl:1 (row): found broken JSON",
        '  train.jsonl:2 post: found " "',
        '  train.jsonl:4 id: found "t2", which is also in train.jsonl:3; expected an id of its own',
        "  development.jsonl:1-2, 4 title: found 1; expected text",
        "  validation.jsonl:0 (row): found an empty file",
        '  test.jsonl:1 id: found "T2", which, but for case and blanks, is "t2" in train.jsonl:3; expected an id',
        '  test.jsonl:2 post: found "the  POST of t2.", which is also in train.jsonl:3; expected an input that no',
        "  test.jsonl:3 post: found null",
        "Correct these rows",
    ]
    assert len(lines) == len(starts), lines
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)
    assert "data_prep.on_invalid=quarantine" in lines[-1]


def test_a_row_whose_unit_tests_do_not_parse_is_named_before_anything_runs() -> None:
    rows = [row("a", tests="assert f(1) == 1"), row("b", tests="assert f(1) ="), row("c", tests="x = 1"), row("d")]
    sources = {"train": raw("train", *rows), "test": raw("test", row("e"))}
    task = TASK.model_copy(update={"splits": ("train", "test")})
    with pytest.raises(InvalidDataError) as caught:
        map_splits(task, STOP, 0, unit_tests="tests", **sources)
    message = str(caught.value)
    assert 'train.jsonl:2 tests: found "assert f(1) ="; expected what can be used; correct the row' in message
    assert "the tests in 'tests' do not parse: SyntaxError" in message
    assert 'train.jsonl:3 tests: found "x = 1"' in message
    assert len(caught.value.faults) == 2


def test_caps_the_kinds_of_fault_of_each_file() -> None:
    rows = [row(f"r{number}", title=number) for number in range(70)]
    with pytest.raises(InvalidDataError) as caught:
        mapped(*raw_splits(train=raw("train", *rows), test=raw("test", "{")), options=STOP)
    message = str(caught.value)
    assert message.count("title: found") == 50
    assert "train.jsonl: and 20 more like these" in message
    assert "test.jsonl:1 (row): found broken JSON" in message
    assert len(caught.value.faults) == 71


def test_one_fault_in_every_other_row_takes_one_short_line() -> None:
    rows = [row(f"r{number}", title=1 if number % 2 else "T") for number in range(60)]
    with pytest.raises(InvalidDataError, match=r"train\.jsonl:2, 4, 6, .*20, … \(30 rows\) title: found 1"):
        mapped(*raw_splits(train=raw("train", *rows)), options=STOP)


@pytest.mark.parametrize(("first", "second"), [("development", "validation"), ("validation", "test")])
def test_finds_leaks_among_the_other_splits_too(first: str, second: str) -> None:
    files = raw_splits(**{split: raw(split, row(f"{split}-1"), row("shared")) for split in (first, second)})
    *tables, rejected = mapped(*files, options=QUARANTINE)
    assert rejected["file"].unique().tolist() == [f"{second}.jsonl"]
    assert rejected["column"].tolist() == ["id", "post"]
    assert [len(table) for table in tables[:4]] == [
        1 if name == second else 2 for name in ("train", "development", "validation", "test")
    ]


def test_the_row_of_train_stays_when_it_leaks() -> None:
    files = raw_splits(
        train=raw("train", row("a"), row("b")), test=raw("test", row("c"), row("d", post="THE post of b."))
    )
    *tables, rejected = mapped(*files, options=QUARANTINE)
    assert tables[0]["example_id"].tolist() == ["a", "b"]
    assert tables[3]["example_id"].tolist() == ["c"]
    assert rejected[["file", "row", "column"]].to_numpy().tolist() == [["test.jsonl", 2, "post"]]


def test_a_post_may_be_repeated_within_a_split() -> None:
    files = raw_splits(train=raw("train", row("a", post="Same."), row("b", post="Same.")))
    assert len(mapped(*files, options=STOP)[0]) == 2


def test_quarantine_refuses_a_split_without_any_valid_row() -> None:
    files = raw_splits(test=raw("test", "{", "["))
    with pytest.raises(InvalidDataError, match=r"(?s)test\.jsonl:1 .*No valid row is left of test"):
        mapped(*files, options=QUARANTINE)
