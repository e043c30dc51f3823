"""Verifiers really run in their process: what they return, and what they are kept from."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ilf_kedro.schemas import UserError
from ilf_kedro.scoring.verifier import VerifierOptions, check_verifier, verifier_scores
from ilf_kedro.scoring.verifier_process import VerifierProcess
from ilf_kedro.verifiers import Row, lacks, matches, numbers_from, words_within
from tests.support.example_tables import examples, refinements

FILE = Path(__file__).parents[1] / "support" / "misbehaving_verifiers.py"
ROWS = Path(__file__).parents[1] / "support" / "verifiers_of_rows.py"
OBEY = VerifierOptions(callable=f"{FILE}:obey", seconds=10)


def obeyed(*orders: str, options: VerifierOptions = OBEY, **changes: object) -> list[float | None]:
    table = refinements({"train-0": list(orders)})
    scores = verifier_scores(table, examples(1), options.model_copy(update=changes))["score"]
    return [None if score != score else float(score) for score in scores]


def row(refinement: str, **texts: str) -> Row:
    return Row(refinement, fields=texts)


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of this machine that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def child_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / "child"


def test_a_verifier_is_given_every_field_of_the_row_and_its_arguments() -> None:
    table = refinements({"train-1": ["initial 1", "post 1", "", "train-1"], "train-0": ["feedback 0", "title 0"]})
    names = ["example_id", "title", "post", "initial_output", "feedback"]
    scores = verifier_scores(table, examples(2), VerifierOptions(callable=f"{ROWS}:place", arguments={"names": names}))
    assert list(scores["score"].fillna(-1)) == [3, 2, -1, 0, 4, 1]
    assert list(scores["scorer"].unique()) == ["verifier"]


def test_what_has_no_number_is_null_with_its_reason_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scores = obeyed(
            "one", "nan", "true", "infinite", "nothing", "digits", "complex", "raise", "", "raise oddly", "huge"
        )
    assert scores == [1.0, None, 1.0, *[None] * 8]
    (message,) = [record.getMessage() for record in caplog.records if "gave no score" in record.getMessage()]
    assert "gave no score for 8 of 10" in message
    assert "5 not a number (returned nan)" in message
    assert "3 raised (IndexError: list index out of range)" in message


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("memory", "1 out of memory"),
        ("exit", "1 crashed (its process ended with 0)"),
        ("_exit", "1 crashed (its process ended with 3)"),
        ("abort", "1 crashed (its process ended with -6)"),
        ("close", "1 crashed (its process hung up)"),
    ],
)
def test_the_rows_after_a_fatal_one_are_scored_all_the_same(
    order: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert obeyed("one", order, "one") == [1.0, None, 1.0]
    assert reason in caplog.text


@pytest.mark.parametrize("order", ["loop", "sleep"])
def test_a_row_that_takes_too_long_is_ended(order: str, caplog: pytest.LogCaptureFixture) -> None:
    begin = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert obeyed(order, "one", seconds=1.5) == [None, 1.0]
    assert "1 timed out (after 1.5 s)" in caplog.text
    assert time.monotonic() - begin < 300


def test_processor_time_is_limited_even_without_a_parent_that_looks() -> None:
    """The parent waits for long, the kernel does not."""
    with VerifierProcess(OBEY.model_copy(update={"seconds": 0.5})) as process:
        process.start()
        process.options = process.options.model_copy(update={"seconds": 60})
        outcome = process.score(row("loop"))
    assert outcome.failure == "timed out"
    assert "processor time" in outcome.detail


def test_python_has_no_network(listening: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert obeyed("connect", "name", arguments={"port": listening}) == [None, None]
    assert "2 raised (PermissionError: a verifier has no network)" in caplog.text


def test_neither_native_code_nor_another_process_has_a_network_if_the_kernel_allows(listening: int) -> None:
    with VerifierProcess(OBEY) as process:
        process.start()
        if not process.isolated:
            pytest.skip("this system allows no network namespace of one's own")
    assert obeyed("connect by C", "connect in a child", arguments={"port": listening}) == [0.0, 0.0]


def test_without_a_network_namespace_a_warning_says_what_is_not_blocked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begin = VerifierProcess.start

    def start_unisolated(self: VerifierProcess) -> None:
        begin(self)
        self.isolated = False

    monkeypatch.setattr(VerifierProcess, "start", start_unisolated)
    with caplog.at_level(logging.WARNING):
        assert obeyed("one") == [1.0]
    assert "ran without namespaces of its own" in caplog.text


def test_secrets_of_the_environment_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert obeyed("secrets", "core") == [0.0, 1.0]


def test_what_it_prints_and_reads_disturbs_nothing_and_files_work(child_file: Path) -> None:
    assert obeyed("talk", "one", "file") == [2.0, 1.0, 3.0]


def test_no_process_is_left_behind() -> None:
    with VerifierProcess(OBEY) as process:
        assert process.score(row("one")).score == 1.0
        assert process._process is not None
        pid = process._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_module:f", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("ilf_kedro.verifiers:no_such", "no_such"),
        ("ilf_kedro.verifiers:_NUMBER", "not a function"),
        ("no/such/file.py:f", "FileNotFoundError"),
        ("ilf_kedro.verifiers:matches", "TypeError: missing a required argument: 'pattern'"),
    ],
)
def test_a_function_that_cannot_be_used_is_named_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(UserError, match=r"selection\.verifier\.callable") as caught:
        check_verifier(VerifierOptions(callable=name))
    assert reason in str(caught.value)
    assert name in str(caught.value)


def test_a_file_that_cannot_be_imported_is_named_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("def f(row): return 1\nraise OSError('no such device \\ud800')")
    with pytest.raises(UserError, match=r"OSError: no such device \\ud800"):
        check_verifier(VerifierOptions(callable=f"{file}:f"))


@pytest.mark.parametrize("name", ["", "module", "module:", ":f", "a b:f", "module:3", "file.py"])
def test_a_name_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"path/to/file.py:function"):
        VerifierOptions(callable=name)


TEXTS = st.text(st.characters(), max_size=60)  # lone surrogates among them


@settings(max_examples=12)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=15))
def test_every_text_arrives_as_it_is(pairs: list[tuple[str, str]]) -> None:
    with VerifierProcess(VerifierOptions(callable=f"{ROWS}:checksum")) as process:
        for text, post in pairs:
            expected = sum(place * ord(character) for place, character in enumerate(f"{text}\0{post}", start=1))
            assert process.score(row(text, post=post)).score == float(expected)


def test_a_long_text_passes_through_the_pipes() -> None:
    text = "é" * 300_000
    options = VerifierOptions(callable=f"{ROWS}:checksum", seconds=60)
    with VerifierProcess(options) as process:
        assert process.score(row(text)).score == float(ord("é") * 300_000 * 300_001 // 2)


def test_the_verifiers_that_come_with_the_project() -> None:
    assert words_within(row("one two three"), fewest=3, most=3)
    assert not words_within(row("one two three"), most=2)
    assert not words_within(row(" "))
    assert matches(row("costs $40"), pattern=r"\$\d+")
    assert not matches(row("Costs"), pattern="costs")
    assert matches(row("Costs"), pattern="costs", ignore_case=True)
    assert lacks(row("a"), pattern="b")
    assert numbers_from(
        row("3 of 1,200 and 7.5", title="1,200", post="It was 7.5, not 3.5"), fields=("title", "post")
    ) == pytest.approx(2 / 3)
    assert numbers_from(row("none"), fields=()) == 1.0
