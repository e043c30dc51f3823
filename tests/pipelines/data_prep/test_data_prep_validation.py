"""Every kind of fault is found, and named with its file, row, column and what was expected."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilf_kedro.pipelines.data_prep.nodes import validate_splits
from ilf_kedro.pipelines.data_prep.options import DataPrepOptions
from ilf_kedro.pipelines.data_prep.records import Record
from ilf_kedro.pipelines.data_prep.validation import InvalidDataError, read_rows
from ilf_kedro.schemas import RawLines
from tests.support.raw_rows import raw, raw_splits, row

STOP = DataPrepOptions(on_invalid="stop")
QUARANTINE = DataPrepOptions(on_invalid="quarantine")


FAULTY_LINES: list[tuple[dict[str, object] | str, str]] = [
    ("{broken", "(row): found broken JSON (Expecting property name enclosed in double quotes, at character 2)"),
    ('{"id": "a", "post"', "(row): found broken JSON"),
    ('["a", "b"]', '(row): found ["a", "b"]; expected one JSON object on each line'),
    ("null", "(row): found null; expected one JSON object on each line"),
    ('{"id": "a", "post": "b", "post": "c"}', '(row): found columns written twice: "post"'),
    ("[" * 100_000, "(row): found maximum recursion depth exceeded"),
    (row("a", id=...), "id: found no such column; expected text that is not empty"),
    (row("a", post=...), "post: found no such column; expected text that is not empty"),
    (row("a", id=7), 'id: found 7; expected text that is not empty; put it in quotes: "7"'),
    (row("a", id=None), "id: found null; expected text that is not empty"),
    (row("a", id=" "), 'id: found " "; expected text that is not empty'),
    (row("a", post=""), 'post: found ""; expected text that is not empty'),
    (row("a", post=" \n\u200b\u00a0"), "post: found"),
    (row("a", post=["b"]), 'post: found ["b"]; expected text that is not empty'),
    (row("a", title=3.5), 'title: found 3.5; expected text or null; put it in quotes: "3.5"'),
    (row("a", feedback=True), "feedback: found true; expected text or null"),
    (row("a", titel="b"), "titel: found an unknown column; expected 'title', perhaps"),
    (row("a", zzz="b"), "zzz: found an unknown column; expected one of id, post, subreddit"),
    (row("a", has_additional_feedback="yes"), 'has_additional_feedback: found "yes"; expected true, false or null'),
    (row("a", comparison_preference="A"), 'comparison_preference: found "A"; expected "Summary A", "Summary B" or'),
    (row("a", comparison_preference=""), 'comparison_preference: found ""; expected "Summary A"'),
    (
        row("a", generated_summary_for_comparison_B=None),
        "comparison_preference: found a preference, but no generated_summary_for_comparison_B; expected both",
    ),
    (
        row("a", generated_summary_for_comparison_A=..., generated_summary_for_comparison_B=" "),
        "no generated_summary_for_comparison_A and generated_summary_for_comparison_B; expected both",
    ),
    (
        row("a", time_spent_in_seconds_feedback="61"),
        'time_spent_in_seconds_feedback: found "61"; expected a number of seconds, 0 or more, or null',
    ),
    (row("a", time_spent_in_seconds_comparison=-1), "time_spent_in_seconds_comparison: found -1; expected"),
    (json.dumps(row("a", time_spent_in_seconds_feedback=float("inf"))), "feedback: found Infinity; expected"),
    (
        json.dumps(row("a", post="caf\udce9 \udcff"), ensure_ascii=False),
        "(row): found the byte 0xe9, which is not UTF-8; expected UTF-8 text; convert the file, such as with `iconv",
    ),
    ("caf\udce9", "(row): found the byte 0xe9, which is not UTF-8"),
    (json.dumps(row("a", feedback="half \ud83d")), r'feedback: found "half \ud83d"; expected text or null'),
]


@pytest.mark.parametrize(("line", "expected"), FAULTY_LINES)
def test_names_file_row_and_column(line: dict[str, object] | str, expected: str) -> None:
    files = raw_splits(validation=raw("validation", row("good"), line))
    with pytest.raises(InvalidDataError) as caught:
        validate_splits(*files, STOP)
    message = str(caught.value)
    assert len(caught.value.faults) == 1
    assert "validation.jsonl:2 " in message
    assert expected in message
    message.encode("utf-8")  # can be printed


def test_quarantine_sets_aside_exactly_the_faulty_lines() -> None:
    lines = [line for line, _ in FAULTY_LINES]
    good = [row(f"good-{number}") for number in range(len(lines))]
    mixed = [line for pair in zip(good, lines, strict=True) for line in pair]
    *tables, rejected = validate_splits(*raw_splits(validation=raw("validation", *mixed)), QUARANTINE)
    assert tables[2]["example_id"].tolist() == [line["id"] for line in good]
    assert sorted(set(rejected["row"])) == list(range(2, 2 * len(lines) + 1, 2))
    assert set(rejected["file"]) == {"validation.jsonl"}


def test_a_row_that_is_not_utf8_is_kept_readably_and_its_id_still_counts() -> None:
    broken = json.dumps(row("a", post="caf\udce9"), ensure_ascii=False)
    files = raw_splits(train=raw("train", broken, row("b")), test=raw("test", row("a"), row("c")))
    *tables, rejected = validate_splits(*files, QUARANTINE)
    assert tables[0]["example_id"].tolist() == ["b"]
    assert r"caf\xe9" in rejected["raw"][0]
    assert rejected["found"].str.contains("train.jsonl:1").tolist() == [False, True], "the same id, in test"


def test_lists_all_faults_of_all_files_at_once() -> None:
    files = raw_splits(
        train=raw("train", "{", row("t1", post=" "), row("t2"), row("t2", post="Another post.")),
        development=raw("development", row("d1", titel="x"), row("d2", titel="y"), row("d3"), row("d4", titel="z")),
        validation=RawLines("validation.jsonl", ("", "  ")),
        test=raw("test", row("T2 "), row("e1", post="the  POST of t2."), row("e2", id=5, post=None)),
    )
    with pytest.raises(InvalidDataError) as caught:
        validate_splits(*files, STOP)
    lines = str(caught.value).splitlines()
    starts = [
        "The raw data has 11 fault(s) in 10 row(s):",
        "  train.jsonl:1 (row): found broken JSON",
        '  train.jsonl:2 post: found " "',
        '  train.jsonl:4 id: found "t2", which is also in train.jsonl:3; expected an id of its own',
        "  development.jsonl:1-2, 4 titel: found an unknown column; expected 'title', perhaps",
        "  validation.jsonl:0 (row): found an empty file",
        '  test.jsonl:1 id: found "T2 ", which is also in train.jsonl:3; expected an id that no other split has',
        '  test.jsonl:2 post: found "the  POST of t2.", which is also in train.jsonl:3; expected an input that no',
        '  test.jsonl:3 id: found 5; expected text that is not empty; put it in quotes: "5"',
        "  test.jsonl:3 post: found null",
        "Correct these rows",
    ]
    assert len(lines) == len(starts), lines
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)
    assert "data_prep.on_invalid=quarantine" in lines[-1]


def test_caps_the_kinds_of_fault_of_each_file() -> None:
    rows = [row(f"r{number}", **{f"column {number}": 1}) for number in range(70)]
    with pytest.raises(InvalidDataError) as caught:
        validate_splits(*raw_splits(train=raw("train", *rows), test=raw("test", "{")), STOP)
    message = str(caught.value)
    assert message.count("unknown column") == 50
    assert "train.jsonl: and 20 more like these" in message
    assert "test.jsonl:1 (row): found broken JSON" in message
    assert len(caught.value.faults) == 71


def test_one_fault_in_every_other_row_takes_one_short_line() -> None:
    rows = [row(f"r{number}", **({"extra": 1} if number % 2 else {})) for number in range(60)]
    with pytest.raises(InvalidDataError, match=r"train\.jsonl:2, 4, 6, .*20, … \(30 rows\) extra: found an unknown"):
        validate_splits(*raw_splits(train=raw("train", *rows)), STOP)


@pytest.mark.parametrize(("first", "second"), [("development", "validation"), ("validation", "test")])
def test_finds_leaks_among_the_other_splits_too(first: str, second: str) -> None:
    files = raw_splits(**{split: raw(split, row(f"{split}-1"), row("shared")) for split in (first, second)})
    *tables, rejected = validate_splits(*files, QUARANTINE)
    assert rejected["file"].unique().tolist() == [f"{second}.jsonl"]
    assert rejected["column"].tolist() == ["id", "post"]
    assert [len(table) for table in tables[:4]] == [
        1 if name == second else 2 for name in ("train", "development", "validation", "test")
    ]


def test_the_row_of_train_stays_when_it_leaks() -> None:
    files = raw_splits(
        train=raw("train", row("a"), row("b")), test=raw("test", row("c"), row("d", post="THE post of b."))
    )
    *tables, rejected = validate_splits(*files, QUARANTINE)
    assert tables[0]["example_id"].tolist() == ["a", "b"]
    assert tables[3]["example_id"].tolist() == ["c"]
    assert rejected[["file", "row", "column"]].to_numpy().tolist() == [["test.jsonl", 2, "post"]]
    assert json.loads(rejected["raw"].iloc[0])["id"] == "d"


def test_a_post_may_be_repeated_within_a_split() -> None:
    files = raw_splits(train=raw("train", row("a", post="Same."), row("b", post="Same.")))
    assert len(validate_splits(*files, STOP)[0]) == 2


def test_quarantine_refuses_a_split_without_any_valid_row() -> None:
    files = raw_splits(test=raw("test", "{", "["))
    with pytest.raises(InvalidDataError, match=r"(?s)test\.jsonl:1 .*No valid row is left of test"):
        validate_splits(*files, QUARANTINE)


def test_accepts_what_is_harmless() -> None:
    long_post = "word " * 10_000
    lines = (
        "\ufeff" + json.dumps(row("a", post=long_post)) + "\r",
        json.dumps(row("b", post="line\u2028separator \x85 and \U0001f600", title=None), ensure_ascii=False) + "\r",
        json.dumps({"id": "007", "post": "Only this."}),
        json.dumps(row("c", time_spent_in_seconds_feedback=float("nan"))),
        "",
        "  \r",
    )
    rows, faults = read_rows(RawLines("train.jsonl", lines), Record)
    assert faults == []
    records = [found.record for found in rows if found.record]
    assert [(found.number, record.example_id) for found, record in zip(rows, records, strict=True)] == [
        (1, "a"),
        (2, "b"),
        (3, "007"),
        (4, "c"),
    ]
    assert records[0].post == long_post
    assert records[1].post == "line\u2028separator \x85 and \U0001f600"
    assert records[2].feedback is None
    assert records[3].seconds_feedback is None


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.booleans())
def test_any_visible_text_comes_through_unchanged(text: str, escaped: bool) -> None:
    line = json.dumps({"id": f"x{text}", "post": f"{text}x", "feedback": text}, ensure_ascii=escaped)
    rows, faults = read_rows(RawLines("train.jsonl", (line,)), Record)
    assert faults == []
    record = rows[0].record
    assert record is not None
    assert (record.example_id, record.post) == (f"x{text}".strip(), f"{text}x")
    assert record.feedback in {text, None}
    if any(character.isalnum() for character in text):
        assert record.feedback == text


@settings(deadline=None)
@given(st.text())
def test_any_line_gives_a_record_or_a_fault_that_can_be_printed(line: str) -> None:
    rows, faults = read_rows(RawLines("train.jsonl", (line,)), Record)
    assert faults, "no text without id and post is valid"
    assert all(found.record is None for found in rows)
    for fault in faults:
        (fault.found + fault.expected).encode("utf-8")


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["id", "post", "title", "comparison_preference", "has_additional_feedback", "unknown"])
        | st.text(max_size=5),
        st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4),
    )
)
def test_any_object_is_either_valid_or_explained(values: dict[str, object]) -> None:
    rows, faults = read_rows(RawLines("train.jsonl", (json.dumps(values),)), Record)
    assert (rows[0].record is None) == bool(faults)
    for fault in faults:
        assert fault.row == 1
        assert fault.expected
        "\n".join([fault.column or "", fault.found, fault.expected]).encode("utf-8")
