"""A verifier that attacks: kedro lives on, nothing is left behind, and the next row has its score."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from ilf_kedro.scoring.verifier_process import Outcome, VerifierOptions, VerifierProcess
from ilf_kedro.verifiers import Row

FILE = Path(__file__).parents[1] / "support" / "misbehaving_verifiers.py"


def attack(order: str, *, seconds: float = 10, namespaces: bool = True, port: int = 0) -> Outcome:
    """Have one verifier do what is ordered, and see that the row after it is scored."""
    options = VerifierOptions(callable=f"{FILE}:obey", seconds=seconds, arguments={"port": port})
    with VerifierProcess(options, namespaces=namespaces) as process:
        process.start()
        if namespaces and not process.isolated and "kill" in order:
            pytest.skip("this system allows no PID namespace of one's own: the order would reach others")
        begin = time.monotonic()
        outcome = process.score(Row(order))
        assert time.monotonic() - begin < seconds + 10
        assert process.score(Row("one")) == Outcome(score=1.0)
    return outcome


def left_behind(marker: str) -> list[psutil.Process]:
    """The processes whose command line has the marker, once they have had time to end."""
    for _ in range(100):
        found = [each for each in psutil.process_iter(["cmdline"]) if marker in (each.info["cmdline"] or [])]
        if not found:
            return []
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("namespaces", [True, False])
@pytest.mark.parametrize("order", ["leave", "leave and wait", "leave a grandchild"])
def test_what_a_row_started_ends_with_it(
    order: str, namespaces: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    outcome = attack(order, seconds=2, namespaces=namespaces)
    assert outcome == (Outcome(failure="timed out", detail="after 2 s") if "wait" in order else Outcome(score=1.0))
    assert not left_behind(str(tmp_path))


def test_endless_writing_where_the_answer_goes_is_ended() -> None:
    outcome = attack("write endlessly")
    assert outcome == Outcome(failure="crashed", detail="its process wrote more than 65536 bytes")


@pytest.mark.parametrize(
    "content",
    [
        b'{"score": NaN, "ends": false}\n',
        b'{"score": Infinity, "ends": false}\n',
        b'{"score": 1e999, "ends": false}\n',
        b'{"score": "abc", "ends": false}\n',
        b'{"score": true, "ends": false}\n',
        b'{"score": [1], "ends": false}\n',
        b'{"score": ' + b"9" * 4000 + b"}\n",
        b'{"failure": "nonsense", "detail": "x"}\n',
        b'{"failure": ["raised"], "detail": {}}\n',
        b"[1, 2]\n",
        b"7\n",
        b"null\n",
        b"[" * 60000 + b"\n",
        b'{"score": 1\n',
        b'{"score": "\xff\xfe"}\n',
        b"\x00\x01\x02\n",
        b"\n",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_an_answer_that_is_no_finite_number_is_no_score(content: bytes) -> None:
    assert attack(f"reply {content.hex()}").failure == "crashed"


def test_half_an_answer_is_waited_for_no_longer_than_the_row_may_take() -> None:
    assert attack(f"reply {b'{'.hex()}", seconds=1).failure == "timed out"


@pytest.mark.parametrize("order", ["kill the parent", "kill the parent by C", "kill all", "kill the group"])
def test_a_signal_to_the_parent_does_not_reach_it(order: str) -> None:
    assert attack(order).score in (None, 1.0)  # that the test goes on is what it shows


@pytest.mark.parametrize("order", ["kill", "kill by C"])
def test_a_signal_to_the_process_of_kedro_does_not_reach_it(order: str) -> None:
    attack(order, port=os.getpid())


@pytest.mark.parametrize("order", ["kill the parent", "kill"])
def test_without_namespaces_pythons_signals_to_the_parents_are_refused(order: str) -> None:
    outcome = attack(order, namespaces=False, port=os.getpid())
    assert outcome.detail == "PermissionError: a verifier signals no process but its own"


def test_a_process_that_stops_itself_times_out() -> None:
    assert attack("stop", seconds=1).failure == "timed out"


def test_four_hundred_forks_end_with_the_row() -> None:
    before = len(psutil.pids())
    attack("fork")
    for _ in range(100):
        if len(psutil.pids()) < before + 100:
            return
        time.sleep(0.05)
    pytest.fail("the forked processes are still there")


@pytest.mark.parametrize("namespaces", [True, False])
def test_a_file_may_not_grow_beyond_its_limit(namespaces: bool) -> None:
    outcome = attack("fill a file", namespaces=namespaces)
    assert outcome.failure == "raised"
    assert "File too large" in outcome.detail
