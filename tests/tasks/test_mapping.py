"""Rows to examples and comparisons: right values, and every fault at once with its row, column and remedy."""

from __future__ import annotations

import datetime as dt
import io
import time
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ilf_kedro.schemas import InvalidDataError, RawRows, raw_rows
from ilf_kedro.tasks import map_rows
from ilf_kedro.tasks.reading import read_bytes
from tests.support.tasks import faults, mapped, row, sources, task

COMPARED = {"example_id": "id", "comparison": {"a": "x", "b": "y", "preferred": "better"}}


def ids(of: object, *rows: dict[str, object]) -> list[str]:
    return [each.subject.example_id for each in mapped(of, *rows).examples["train"]]  # type: ignore[arg-type]


def test_a_row_becomes_an_example_and_what_is_not_mapped_is_kept() -> None:
    (example,) = mapped(task(), row(1, id="007", note=None, level=3, tags=["x"])).examples["train"]
    assert example.subject.example_id == "007"
    assert example.subject.inputs == {"source": "Satz Nummer 1."}
    assert (example.initial_output, example.feedback, example.reference) == ("Sentence 1.", None, "Sentence number 1.")
    assert example.other == {"level": 3, "tags": ["x"]}
    assert (example.subject.file, example.subject.number) == ("train.jsonl", 1)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"text": ...}, "2 text: no such column; text that is not empty (task.inputs.source)"),
        ({"text": None}, "2 text: null; text that is not empty (task.inputs.source)"),
        ({"text": float("nan")}, "2 text: null; text that is not empty (task.inputs.source)"),
        ({"text": " \u200b"}, '2 text: " \u200b"; text that is not empty (task.inputs.source)'),
        ({"text": 7}, "2 text: 7; text; turn it into text with to_string(text) (task.inputs.source)"),
        (
            {"note": ["a", "b"]},
            '2 note: ["a", "b"]; text; take one (note[0]), join them (join(\'\\n\', note)), or make an example of each '
            "(explode: note) (task.columns.feedback)",
        ),
        ({"note": [{"t": "a"}]}, '2 note: [{"t": "a"}]; text; take one (note[0].key), join'),
        ({"note": {"text": "a"}}, '2 note: {"text": "a"}; text; name one of its parts (note.text)'),
        ({"note": True}, "2 note: true; text; turn it"),
        ({"note": "half \ud83d"}, '2 note: "half \\ud83d"; text without half a surrogate pair'),
        ({"note": {"text": ["a"]}}, '2 note: {"text": ["a"]}; text; name one of its parts (note.text)'),
        ({"id": None}, "2 id: null; text that is not empty (task.columns.example_id)"),
        ({"id": True}, "2 id: true; text"),
        ({"id": "r1"}, '2 id: "r1", which is also in train.jsonl:1; an id of its own (example_id)'),
    ],
)
def test_a_cell_that_is_not_what_it_must_be_is_a_fault_with_its_remedy(changes: dict[str, Any], fault: str) -> None:
    (found,) = faults(task(), row(1), row(2, **changes))
    assert found.startswith(fault)


def test_an_expression_that_gives_a_list_in_place_of_text_is_named_with_its_remedy() -> None:
    (found,) = faults(task(columns={"feedback": "notes[].text"}), row(1, notes=[{"text": "a"}, {"text": "b"}]))
    assert found.startswith("""1 notes[].text: ["a", "b"]; text; take one (notes[].text[0]), join them (join('\\n', """)


def test_a_nested_or_null_column_of_parquet_is_named_like_any_other() -> None:
    nested = pa.Table.from_pylist([row(1, note={"said": "a"}, draft=None), row(2, note=None, draft=None)])
    buffer = io.BytesIO()
    pq.write_table(nested.append_column("when", pa.array([dt.datetime(2026, 1, 2)] * 2)), buffer)
    source = {"train": read_bytes("x.parquet", buffer.getvalue())}
    found = map_rows(task(inputs={"source": "text", "day": "when"}), source)
    assert [(each.row, each.column, each.found) for each in found.every_fault] == [(1, "note", '{"said": "a"}')]
    assert [each.subject.inputs["day"] for each in found.examples["train"]] == ["2026-01-02T00:00:00"]
    assert found.examples["train"][0].initial_output is None


def test_a_field_that_its_check_refuses_is_a_fault_of_the_row() -> None:
    def even(value: object) -> None:
        if int(str(value)) % 2:
            raise ValueError("it is odd")

    rows = [row(1, n=2), row(2, n=3), row(3, n=None)]
    found = map_rows(task(), sources(train=rows), checks={"n": even})
    assert [(each.row, each.column, each.found) for each in found.every_fault] == [(2, "n", "3")]
    assert found.every_fault[0].expected.endswith("it is odd")
    assert [each.subject.example_id for each in found.examples["train"]] == ["r1", "r3"]


def test_identifiers_that_differ_in_case_or_blanks_alone_are_refused_with_both() -> None:
    found = map_rows(task(), sources(train=[row(1, id="Case 7")], test=[row(2, id="case  7 "), row(3, id="7")]))
    assert [(each.file, each.row, each.column, each.found) for each in found.every_fault] == [
        ("test.jsonl", 1, "id", '"case  7", which, but for case and blanks, is "Case 7" in train.jsonl:1')
    ]


def test_a_faulty_rows_identifier_counts_against_later_ones_and_a_missing_one_never() -> None:
    found = faults(task(), row(1, text=7), row(2, id="r1"), row(3, id=None), row(4, id=None), row(5, id="None"))
    assert [each.split(";")[0] for each in found] == [
        "1 text: 7",
        '2 id: "r1", which is also in train.jsonl:1',
        "3 id: null",
        "4 id: null",
    ]


def test_every_fault_of_every_file_is_found_at_once_and_their_rows_give_nothing() -> None:
    found = map_rows(task(), sources(train=[row(1, text=7, note=[]), row(2)], test=[row(3, id=None), row(4)]))
    assert [(each.file, each.row, each.column) for each in found.every_fault] == [
        ("train.jsonl", 1, "text"),
        ("train.jsonl", 1, "note"),
        ("test.jsonl", 1, "id"),
    ]
    assert [each.subject.example_id for each in found.examples["train"] + found.examples["test"]] == ["r2", "r4"]
    message = str(InvalidDataError(found.every_fault, "Correct them."))
    assert "train.jsonl:1 text: found 7; expected text; turn it into text with to_string(text)" in message


def test_columns_that_no_row_has_are_all_named_with_the_nearest_and_only_these() -> None:
    wrong = task(inputs={"source": "txt"}, columns={"example_id": "id", "feedback": "notes.text", "reference": "a["})
    found = faults(wrong, row(1, note=3), row(2))
    assert found == [
        "0 txt: no such column in any row; 'text', perhaps (task.inputs.source)",
        "0 notes.text: an expression over 'notes', which no row has; 'note', perhaps (task.columns.feedback)",
        found[2],
    ]
    assert found[2].startswith("0 a[: an expression that does not parse")


def test_a_column_that_only_another_split_has_is_no_fault() -> None:
    both = map_rows(task(), sources(train=[row(1)], test=[row(2, note=...)]))
    assert not both.every_fault
    assert both.examples["test"][0].feedback is None


def test_an_expression_that_is_null_in_every_row_is_a_fault() -> None:
    nested = task(columns={"feedback": "note.txt"})
    assert faults(nested, row(1, note={"text": "a"}), row(2, note=None)) == [
        "0 note.txt: null in every row; a value in some row; correct the expression, or leave it out of the task "
        "(task.columns.feedback)"
    ]
    assert not faults(nested, row(1, note={"txt": "a"}), row(2, note=None))


def test_other_columns_can_be_refused() -> None:
    strict = task(other_columns="refuse", columns={"example_id": "id", "feedback": "note", "initial_output": "draft"})
    assert faults(strict, row(1)) == [
        "0 ideal: an unknown column; one of text, id, draft, note; or keep it with other_columns: keep"
    ]


@pytest.mark.parametrize(("given", "kept"), [("007", "007"), (641, "641"), (641.0, "641"), (" a ", "a")])
def test_identifiers_are_text(given: object, kept: str) -> None:
    assert ids(task(), row(1, id=given)) == [kept]


def test_without_an_identifier_the_inputs_are_hashed_and_counted() -> None:
    hashed = task(columns={"feedback": "note"})
    first, second, third = ids(hashed, row(1), row(2), row(1, note="Another."))
    assert len(first) == 16
    assert second != first
    assert third == f"{first}-2"
    assert ids(hashed, row(2)) == [second]


def test_examples_of_one_input_share_its_name_whatever_case_and_blanks() -> None:
    rows = [row(1, text="Ein Satz."), row(2, text=" ein\n SATZ."), row(3)]
    names = [each.subject.input_id for each in mapped(task(), *rows).examples["train"]]
    assert names[0] == names[1] != names[2]


def test_inputs_that_two_splits_share_are_faults_of_the_later_one() -> None:
    found = map_rows(task(), sources(train=[row(1)], test=[row(2, text="SATZ  nummer 1."), row(3)]))
    assert [(each.row, each.found) for each in found.faults["test"]] == [
        (1, '"SATZ  nummer 1.", which is also in train.jsonl:1')
    ]
    assert not found.faults["train"]
    assert [each.subject.example_id for each in found.examples["test"]] == ["r3"]


def test_inputs_may_repeat_where_splits_are_yet_to_be_made() -> None:
    shares = task(splits={"train": 0.5, "test": 0.5})
    found = map_rows(shares, sources(all=[row(1)], more=[row(2, text="Satz Nummer 1.")]))
    assert not found.every_fault


EXPLODED = task(
    explode="notes",
    columns={"example_id": "id", "feedback": "item.text", "annotator": "item.by", "initial_output": "draft"},
)


def test_a_list_is_exploded_into_an_example_of_each_member() -> None:
    notes = [{"text": "Too long.", "by": 3}, {"text": None, "by": "7"}]
    found = mapped(EXPLODED, row(1, notes=notes), row(2, notes=[]), row(3, notes=None))
    examples = found.examples["train"]
    assert [each.subject.example_id for each in examples] == ["r1-1", "r1-2"]
    assert [each.feedback for each in examples] == ["Too long.", None]
    assert [each.subject.annotator for each in examples] == ["3", "7"]
    assert len({each.subject.input_id for each in examples}) == 1
    assert found.n_without_members == 2
    assert not found.every_fault


def test_an_identifier_of_the_member_is_not_counted() -> None:
    own = task(explode="notes", columns={"example_id": "item.n", "feedback": "item.text"})
    assert ids(own, row(1, notes=[{"text": "a", "n": 5}, {"text": "b", "n": 4}])) == ["5", "4"]


def test_members_of_one_row_with_the_same_identifier_are_faults() -> None:
    own = task(explode="notes", columns={"example_id": "item.n", "feedback": "item.text"})
    (fault,) = faults(own, row(1, notes=[{"text": "a", "n": 5}, {"text": "b", "n": 5}]))
    assert fault.startswith('1 item.n: "5", which is also in train.jsonl:1')


def test_what_is_no_list_is_not_exploded() -> None:
    (found, *_) = faults(EXPLODED, row(1, notes="x"), row(2, notes=[{"text": "a", "by": 1}]))
    assert found.startswith('1 notes: "x"; a list to make an example of each of its members, or null (task.explode)')
    assert "rename it" in faults(EXPLODED, row(1, notes=[], item=3))[0]


def test_a_preference_gives_the_chosen_and_the_rejected_output() -> None:
    rows = [
        row(1, x="X", y="Y", better="a"),
        row(2, x="X", y="Y", better="b"),
        row(3, x="X", y="Y", better=None),
        row(4, x="X", y="X", better="a"),
        row(5, x=None, y=None, better=None),
    ]
    found = mapped(task(columns=COMPARED), *rows)
    assert not found.every_fault
    pairs = [each.preference for each in found.comparisons["train"]]
    assert [(each.chosen, each.rejected, each.preferred) for each in pairs] == [("X", "Y", "a"), ("Y", "X", "b")]


def test_values_may_be_numbers_and_ties() -> None:
    comparison = {**COMPARED["comparison"], "values": {"a": [-3, -2, -1], "b": [1, 2, 3], "tie": 0}}  # type: ignore[dict-item]
    scored = task(columns={"comparison": comparison})
    rows = [row(n, x="X", y="Y", better=score) for n, score in enumerate((-2, 0, 3.0))]
    assert [each.preference.chosen for each in mapped(scored, *rows).comparisons["train"]] == ["X", "Y"]
    (fault,) = faults(scored, row(1, x="X", y="Y", better=True))
    assert fault.startswith(
        "1 better: true; one of -3, -2, -1, 1, 2, 3, 0, or null; say what stands for a, b and a tie"
    )


def test_a_preference_without_both_outputs_is_a_fault() -> None:
    (fault,) = faults(task(columns=COMPARED), row(1, x="X", y=None, better="b"), row(2, x="X", y="Y", better="a"))
    assert fault.startswith("1 better: a preference, but nothing in y; both outputs, or no preference")


def test_chosen_and_rejected_columns_get_places_that_say_nothing() -> None:
    pairs = task(columns={"example_id": "id", "comparison": {"a": "chosen", "b": "rejected"}})
    rows = [row(n, chosen="good", rejected="bad") for n in range(200)]
    found = [each.preference for each in mapped(pairs, *rows).comparisons["train"]]
    assert {each.chosen for each in found} == {"good"}
    assert 70 < sum(each.preferred == "a" for each in found) < 130
    assert [each.preference for each in mapped(pairs, *rows[50:]).comparisons["train"]] == found[50:]


FILES = task(
    columns={"example_id": "id"},
    comparisons={"inputs": {"source": "asked"}, "a": "x", "b": "y", "preferred": "better", "annotator": "who"},
)


def test_comparisons_may_stand_in_files_of_their_own() -> None:
    pair = {"asked": "SATZ Nummer 1.", "x": "X", "y": "Y", "better": "b", "who": 4}
    found = map_rows(FILES, sources(train=[row(1)]), {"train": raw_rows([pair, pair], "pairs.jsonl")})
    assert not found.every_fault
    example, (one, two) = found.examples["train"][0], found.comparisons["train"]
    assert one.subject.input_id == example.subject.input_id
    assert one.preference.chosen == "Y"
    assert one.subject.annotator == "4"
    assert two.subject.example_id == f"{one.subject.example_id}-2"


def test_faults_of_comparison_files_name_them_and_their_inputs_may_not_leak() -> None:
    pair = {"asked": "Satz Nummer 1.", "x": "X", "y": "Y", "better": "c"}
    other = {**pair, "better": "a"}
    found = map_rows(
        FILES.model_copy(update={"comparisons": FILES.comparisons.model_copy(update={"annotator": None})}),  # type: ignore[union-attr]
        sources(train=[row(2)], test=[row(1)]),
        {"train": raw_rows([pair, other], "pairs.jsonl")},
    )
    assert [(each.file, each.row, each.column) for each in found.every_fault] == [
        ("pairs.jsonl", 1, "better"),
        ("test.jsonl", 1, "text"),
    ]
    assert "which is also in pairs.jsonl:2" in found.faults["test"][0].found


CHAT = task(inputs={"conversation": {"column": "messages", "kind": "messages", "truncate": True}})
HELLO = {"role": "user", "content": "Hello"}


def test_messages_become_a_json_list() -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "Ü"}]}]
    (example,) = mapped(CHAT, row(1, messages=turns)).examples["train"]
    expected = '[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Ü"}]'
    assert example.subject.inputs["conversation"] == expected


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ("Hello", 'the text "Hello"; messages such as [{"role": "user", "content": "…"}]; make one of a text'),
        ([{"from": "human", "value": "Hi"}], 'message 1 without a role: {"from": "human", "value": "Hi"}; '),
        ([{"from": "human", "value": "Hi"}], "rename the keys with messages[].{role: from, content: value}"),
        ([{**HELLO, "role": "users"}], "the role 'users' of message 1; 'user', perhaps"),
        ([HELLO, {"role": "assistant", "content": "Hi"}], "leave the last turn out with messages[:-1]"),
        ([{**HELLO, "tool_calls": [1]}], "message 1 with 'tool_calls'; role and content alone"),
        ([{"role": "user", "content": [{"type": "image"}]}], '[{"type": "image"}] as content of message 1'),
        ([{"role": "user", "content": None}], "null as content of message 1"),
        ([3], "3 as message 1"),
        ([], "[]; text that is not empty"),
        (None, "null; text that is not empty"),
        (7, "7; messages such as"),
    ],
)
def test_what_is_no_conversation_is_named_with_its_remedy(messages: object, fault: str) -> None:
    (found,) = faults(CHAT, row(1, messages=messages))
    assert fault in found


def test_any_table_is_mapped_as_its_rows_are() -> None:
    rows = [row(1, when=pd.Timestamp("2026-01-02")), row(2, note=None)]
    for table in (pd.DataFrame(rows), _Polars(rows)):
        examples = map_rows(task(), {"train": raw_rows(table, "table")}).examples["train"]
        assert [each.feedback for each in examples] == ["Say number.", None]
        assert examples[0].other["when"] == "2026-01-02T00:00:00"
        assert examples[1].other.get("when") is None


class _Polars:
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def to_dicts(self) -> list[dict[str, Any]]:
        return self._rows


def test_twenty_thousand_rows_take_few_seconds() -> None:
    rows = [row(n, notes=[{"text": f"Too long, {n}.", "by": n % 7}]) for n in range(20_000)]
    source = RawRows("many.jsonl", raw_rows(rows, "many.jsonl").rows)
    begin = time.process_time()
    found = map_rows(EXPLODED, {"train": source})
    assert time.process_time() - begin < 5
    assert len(found.examples["train"]) == 20_000
