"""Files of every kind give the rows that were written; every fault of one is named with its row and the remedy."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import io
import json
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilf_kedro.schemas import RawRows, UserError
from ilf_kedro.tasks.reading import ReadOptions, read_bytes, read_rows

ROWS: list[dict[str, Any]] = [
    {"id": "007", "text": "Ein Satz,\n\"so\" 'ist' es; ü\u2028", "tags": ["a"], "n": 3},
    {"id": "8", "text": None, "tags": [], "n": None},
]


def values(rows: RawRows) -> list[dict[str, object]]:
    assert not rows.faults
    return [dict(each.values) for each in rows.rows]


def faults(name: str, content: bytes | str, **options: Any) -> list[str]:
    data = content if isinstance(content, bytes) else content.encode()
    read = read_bytes(name, data, ReadOptions(**options))
    return [f"{each.row} {each.column}: {each.found}; {each.expected}" for each in read.faults]


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def arrow(table: pa.Table, *, stream: bool) -> bytes:
    buffer = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
LIST = json.dumps(ROWS, indent=1).encode()
TABLE = pa.Table.from_pylist(ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", LINES),
        ("x.ndjson", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n\r\n")),
        ("x.JSONL.GZ", gzip.compress(LINES, mtime=0)),
        ("x.json", LIST),
        ("x.json.gz", gzip.compress(LIST, mtime=0)),
        ("x.parquet", parquet(TABLE)),
        ("x.arrow", arrow(TABLE, stream=False)),
        ("x.feather", arrow(TABLE, stream=True)),
    ],
)
def test_the_same_rows_come_out_of_every_kind_of_file(name: str, content: bytes) -> None:
    assert values(read_bytes(name, content)) == ROWS


def test_a_row_has_the_number_of_its_line_or_its_place() -> None:
    assert [each.number for each in read_bytes("x.jsonl", b'\n{"a": 1}\n\n{"a": 2}\n').rows] == [2, 4]
    assert [each.number for each in read_bytes("x.json", b'[\n{"a": 1},\n\n{"a": 2}]').rows] == [1, 2]
    assert [each.number for each in read_bytes("x.csv", b'a,b\n1,"x\ny"\n\n2,z\n').rows] == [2, 5]


CELLS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\0"), min_size=1)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from("\"'"))
def test_every_cell_of_csv_comes_back_as_text(cells: list[tuple[str, str]], separator: str, quote: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=separator, quotechar=quote, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "text"), *cells])
    options = ReadOptions(separator=separator, quote=quote)
    read = read_bytes("x.csv", written.getvalue().encode(), options)
    assert values(read) == [{"id": one, "text": other} for one, other in cells]


def test_csv_keeps_identifiers_as_text_and_empty_cells_are_null() -> None:
    assert values(read_bytes("x.csv", b"id,text\r\n007,\r\n")) == [{"id": "007", "text": None}]
    assert values(read_bytes("x.tsv", b"id\ttext\n007\ta,b\n")) == [{"id": "007", "text": "a,b"}]
    assert values(read_bytes("x.csv", "id,text\n1,é\n".encode("cp1252"), ReadOptions(encoding="windows-1252"))) == [
        {"id": "1", "text": "é"}
    ]
    assert values(read_bytes("x.csv", "id,text\n1,é\n".encode("utf-16"), ReadOptions(encoding="utf-16"))) == [
        {"id": "1", "text": "é"}
    ]


def test_parquet_with_nested_null_timestamp_and_decimal_columns() -> None:
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    row = {
        "nested": {"turns": [{"role": "user", "content": "Hi"}]},
        "nothing": None,
        "when": moment,
        "day": moment.date(),
        "price": decimal.Decimal("7"),
        "score": float("nan"),
        "raw": b"ab",
    }
    (read,) = values(read_bytes("x.parquet", parquet(pa.Table.from_pylist([row]))))
    assert read == {
        "nested": {"turns": [{"role": "user", "content": "Hi"}]},
        "nothing": None,
        "when": "2026-01-02T03:04:05+00:00",
        "day": "2026-01-02",
        "price": 7,
        "score": None,
        "raw": "YWI=",
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.jsonl",
            LIST,
            "0 None: a JSON list; one JSON object on each line, as its name or `kind` says; name it",
        ),
        ("x.json", LINES, "0 None: JSON objects on lines of their own; a JSON list of objects"),
        ("x.json", '{"rows": [\n1]}', "0 None: one JSON object; a JSON list of objects"),
        ("x.json", b'[{"a": 1}', "0 None: broken JSON (Expecting ',' delimiter, at line 1, character 10)"),
        ("x.json", b'[{"a": 1}, 3]', "2 None: 3; a JSON object"),
        ("x.json", b"7", "0 None: 7; a JSON list of objects"),
        ("x.json", b'[{"a": 1, "a": 2}]', '0 None: columns written twice: "a"; a JSON list of objects'),
        ("x.jsonl", b"id,text\n1,a\n", '0 None: text that begins with "id,text"; one JSON object on each line, as'),
        ("x.csv", LINES, "0 None: JSON objects on lines of their own; CSV text with a line of column names"),
        ("x.csv", LIST, "0 None: a JSON list; CSV text"),
        ("x.csv", parquet(TABLE), "0 None: Parquet; CSV text with a line of column names, as its name or `kind` says"),
        ("x.parquet", LINES, '0 None: bytes that are none: b\'{"id": "\'; Parquet, as its name'),
        ("x.parquet", arrow(TABLE, stream=False), "0 None: Arrow IPC (Feather); Parquet, as its name or `kind` says"),
        ("x.parquet", parquet(TABLE)[:-30], "0 None: broken Parquet ("),
        ("x.arrow", arrow(TABLE, stream=False)[:-30], "0 None: broken Arrow ("),
        (
            "x.jsonl",
            gzip.compress(LINES, mtime=0),
            "0 None: gzip data; one JSON object on each line, as its name",
        ),
        ("x.jsonl.gz", LINES, "0 None: no whole gzip data (Not a gzipped file"),
        ("x.jsonl.gz", gzip.compress(LINES, mtime=0)[:-20], "0 None: no whole gzip data ("),
        (
            "x.csv",
            b"PK\x03\x04abc",
            "0 None: a ZIP archive or an Excel workbook; CSV text with a line of",
        ),
        ("x.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "; run `git lfs pull`"),
        ("x.csv", b" <!DOCTYPE html><html>", "0 None: a web page; CSV text with a line of column names, as its name"),
        (
            "x.json",
            LIST.decode().encode("utf-16"),
            "0 None: UTF-16 text; UTF-8 text; name the encoding: `enc",
        ),
        ("x.xlsx", b"", "0 None: a name that says no kind of data; a name that ends in .jsonl, .ndjson, .json, .csv"),
        ("x.jsonl", b" \n", "0 None: an empty file; at least one row"),
        ("x.json", b"[]", "0 None: an empty file; at least one row"),
        ("x.csv", b"", "0 None: an empty file; a line of column names and rows below it"),
        ("x.csv", b"a,b\n", "0 None: an empty file; at least one row"),
        ("x.csv", b"id;text\n1;a,b\n", '1 None: ";" between the column names "id;text"; column names with "," between'),
        ("x.csv", b"'id','text'\n'1','a'\n", "1 None: column names in single quotes: \"'id','text'\"; column names in"),
        ("x.csv", b"id,id,a\n", "1 id: a column name that stands twice; column names that differ"),
        ("x.csv", b"id,,a\n", "1 None: no name for column 2; a name for every column"),
        ("x.csv", b"a,b\n1,2\n1,2,3\n", "3 None: 3 cells; 2, as many as column names; a cell with the separator in it"),
        ("x.csv", b'a,b\n1,2\n1,"2\n3,4\n', "3 None: broken CSV (unexpected end of data)"),
        ("x.csv", b'a,b\n1,"2"3\n', "2 None: broken CSV (',' expected after '\"')"),
        (
            "x.csv",
            b"a,b\n1,caf\xe9\n",
            "2 None: the byte 0xe9, which is not UTF-8; UTF-8 text; name the encoding",
        ),
        ("x.jsonl", b'{"a": "caf\xe9"}\n', "1 None: the byte 0xe9, which is not UTF-8; UTF-8 text; name the encoding"),
        ("x.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}', '2 None: columns written twice: "a"; one JSON object on each line'),
        ("x.jsonl", b'{"a": 1}\n{"a": ' + b"[" * 99999, "2 None: JSON that is nested too deeply"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_wrong_with_a_file_is_named(name: str, content: bytes | str, message: str) -> None:
    (found,) = faults(name, content)
    assert message in found


def test_a_byte_that_the_named_encoding_lacks_has_its_line() -> None:
    (found,) = faults("x.csv", b"a,b\n1,\x81\n", encoding="windows-1252")
    assert found.startswith("2 None: the byte 0x81, which is not cp1252")


def test_one_fault_hides_neither_other_rows_nor_other_faults() -> None:
    read = read_bytes("x.jsonl", b'{"a": 1}\n{broken\n3\n{"a": 2}\n')
    assert [each.values for each in read.rows] == [{"a": 1}, {"a": 2}]
    assert [(each.row, each.raw) for each in read.faults] == [(2, "{broken"), (3, "3")]


def test_the_kind_can_be_said_where_the_name_does_not() -> None:
    assert values(read_bytes("export", LINES, ReadOptions(kind="jsonl"))) == ROWS


def test_an_encoding_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no encoding is called 'utf-9'"):
        ReadOptions(encoding="utf-9")


def test_a_folder_is_read_file_by_file_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(b'{"a": 2}\n3\n')
    (tmp_path / "a.csv").write_bytes(b"a\n1\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.json").write_bytes(b'[{"a": 3}]')
    for name in ("README.md", ".hidden.csv", "_SUCCESS", "LICENSE"):
        (tmp_path / name).write_text("no data")
    read = read_rows(tmp_path)
    assert [each.values["a"] for each in read.rows] == ["1", 2, 3]
    assert [Path(each.file).name for each in read.rows] == ["a.csv", "b.jsonl", "c.json"]
    assert [(Path(each.file).name, each.row) for each in read.faults] == [("b.jsonl", 2)]
    (tmp_path / "d.xlsx").write_bytes(b"PK\x03\x04")
    assert "a name that says no kind of data" in read_rows(tmp_path).faults[1].found


def test_a_folder_without_data_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no data")
    with pytest.raises(UserError, match=r"has no data files: found README.md; expected \.jsonl"):
        read_rows(tmp_path)
    with pytest.raises(UserError, match=r"there is no file .*absent\.csv; put it there"):
        read_rows(tmp_path / "absent.csv")
    with pytest.raises(UserError, match="cannot be read"):
        read_rows("nosuchprotocol://x/y.csv")


def test_files_are_named_as_the_user_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_bytes(b"a\n1\n")
    assert read_rows(tmp_path / "raw" / "a.csv").file == str(Path("raw", "a.csv"))
    assert read_rows(tmp_path / "raw").rows[0].file == str(Path("raw", "a.csv"))
    fsspec.filesystem("memory").pipe_file("/raw/x.csv", b"a\n1\n")
    assert read_rows("memory:///raw/x.csv").rows[0].file == "memory:///raw/x.csv"
