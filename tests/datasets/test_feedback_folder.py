"""The files that people fill in: written once, read strictly, every fault named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io.core import DatasetError

from ilf_kedro.datasets import FeedbackFolderDataset
from ilf_kedro.datasets.feedback_folder import FeedbackFolder, FeedbackNeededError


def questions(*ids: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "example_id": ids,
            "title": [None if i == "007" else f"title {i}" for i in ids],
            "post": [f"post {i}\nwith “lines”" for i in ids],
            "initial_output": [f"output {i}" for i in ids],
        }
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")


def test_the_run_stops_with_what_to_annotate_and_goes_on_when_it_is_there(tmp_path: Path) -> None:
    folder = FeedbackFolder(tmp_path / "feedback")
    asked = {"own_round_1": questions("a", "007"), "base_round_1": questions("a")}
    with pytest.raises(FeedbackNeededError) as caught:
        folder.collect(asked)
    own, base = (tmp_path / "feedback" / f"{name}.jsonl" for name in asked)
    for path, n in ((own, 2), (base, 1)):  # both at once
        assert f"{n} outputs wait for feedback in {path}" in str(caught.value)
    assert "run the same command again" in str(caught.value)
    assert lines(own)[1] == {
        "example_id": "007",
        "title": "",
        "post": "post 007\nwith “lines”",
        "initial_output": "output 007",
        "feedback": "",
    }
    with pytest.raises(FeedbackNeededError, match="2 outputs wait"):  # nothing was filled in
        folder.collect(asked)
    for path in (own, base):
        write(path, [{**row, "feedback": f" About {row['example_id']}. "} for row in reversed(lines(path))])
    answers = folder.collect(asked)
    assert answers["own_round_1"].tolist() == ["About a.", "About 007."]
    assert answers["base_round_1"].tolist() == ["About a."]


def test_every_fault_is_named_at_once_and_the_file_stays(tmp_path: Path) -> None:
    folder = FeedbackFolder(tmp_path)
    path = tmp_path / "round.jsonl"
    rows: list[Any] = [
        {"example_id": "a", "feedback": "Good."},
        {"example_id": "a", "feedback": "Twice."},
        {"example_id": "stranger", "feedback": "Who?"},
        "{no json",
        ["a"],
        {"example_id": "b", "feedback": ""},
        {"example_id": "c", "feedback": 3},
        {"example_id": "e", "feedback": "Fine.", "initial_output": "an older one"},
        "",
    ]
    write(path, rows)
    before = path.read_bytes()
    with pytest.raises(FeedbackNeededError) as caught:
        folder.collect({"round": questions("a", "b", "c", "d", "e")})
    message = str(caught.value)
    for expected in (
        "has 9 faults:",
        "line 2: the example 'a' stands there twice",
        "line 3: there is no example 'stranger' in this round",
        "line 4: found broken JSON",
        'line 5: found ["a"]; expected one JSON object on each line',
        "line 7: feedback: found 3; expected text",
        "line 8: the feedback is on another output of 'e'",
        "no line has the example 'c'",
        "no line has the example 'd'",
        "the feedback on the example 'b' is empty",
    ):
        assert expected in message
    assert path.read_bytes() == before


def test_a_byte_order_mark_and_other_line_ends_are_fine(tmp_path: Path) -> None:
    rows = [{"example_id": example_id, "feedback": f"on\u2028{example_id}"} for example_id in ("a", "b")]
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\r\n" for row in rows)
    (tmp_path / "round.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert FeedbackFolder(tmp_path).collect({"round": questions("a", "b")})["round"].tolist() == [
        "on\u2028a",
        "on\u2028b",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"example_id": "a", "feedback": "\xe2\x80\x8b\xe2\x80\x8b"}', "the feedback on the example 'a' is empty"),
        (b'{"example_id": "a", "feedback": "x", "feedback": "y"}', 'line 1: found columns written twice: "feedback"'),
        (b'{"example_id": "a", "feedback": "\\ud83d"}', "line 1: feedback: found"),
        (b'{"example_id": "\\ud83d", "feedback": "x"}', "line 1: there is no example '\\ud83d' in this round"),
        (b'{"example_id": "a", "feedback": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "nested too deeply"),
        (b'{"example_id": "a", "feedback": "caf\xe9"}', "line 1: found the byte 0xe9, which is not UTF-8"),
        (b'{"example_id": "a", "feedback": null}', "the feedback on the example 'a' is empty"),
        (b'{"example_id": "a"}', "line 1: it has no texts example_id and feedback"),
    ],
)
def test_texts_that_only_look_like_feedback_are_named(tmp_path: Path, line: bytes, message: str) -> None:
    (tmp_path / "round.jsonl").write_bytes(line + b'\n{"example_id": "b", "feedback": "Good."}\n')
    with pytest.raises(FeedbackNeededError) as caught:
        FeedbackFolder(tmp_path).collect({"round": questions("a", "b")})
    assert message in str(caught.value)
    assert str(caught.value).encode()  # every character can be written


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "round.jsonl").mkdir()
    with pytest.raises(FeedbackNeededError, match=r"round\.jsonl has 1 fault:\s+it is a folder"):
        FeedbackFolder(tmp_path).collect({"round": questions("a")})


def test_the_catalog_entry_is_local_and_cannot_be_saved(tmp_path: Path) -> None:
    dataset = FeedbackFolderDataset(filepath=str(tmp_path / "feedback"))
    assert dataset.load().directory == tmp_path / "feedback"
    assert dataset.exists()
    with pytest.raises(DatasetError, match="people fill its files in"):
        dataset.save("feedback")  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="local directory"):
        FeedbackFolderDataset(filepath="s3://bucket/feedback")
