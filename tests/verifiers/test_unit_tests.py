"""The share of unit tests that a program passes: every form of tests, every way to fail, and attackers' programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from ilf_kedro.scoring.verifier_process import Outcome, VerifierOptions, VerifierProcess
from ilf_kedro.verifiers import Row, passes_tests
from ilf_kedro.verifiers.unit_tests import tests_of as parse_tests

FEEDBACK = Path(__file__).parents[3] / "shared" / "reference" / "code_feedback_60.jsonl"
ADD = "def add(a, b):\n    return a + b"
ASSERTIONS = "assert add(1, 2) == 3\nassert add(0, 0) == 0\nassert add(2, 2) == 5\nassert add(-1, 1) == 0"


def share(output: str, tests: object = ASSERTIONS, seconds: float = 20, **arguments: str) -> float:
    named = {name: value for name, value in arguments.items() if name in ("prefix", "setup", "entry_point")}
    fields = {"tests": tests, **named}
    return passes_tests(Row(output, fields=fields, seconds=seconds), **{name: name for name in named})


def test_each_assertion_counts_alone() -> None:
    assert share(ADD) == 3 / 4
    assert share("def add(a, b):\n    return 0") == 2 / 4
    assert share("def add(a, b):\n    return 1 / (a + b)") == 0


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        (["assert add(1, 2) == 3", "x = 5\nassert add(2, 2) == x"], 1 / 2),
        ("def test_one():\n    assert add(1, 2) == 3\n\ndef test_two():\n    assert add(1, 2) == 4", 1 / 2),
        ("def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(1, 1) == 3\n", 1 / 2),
        ("def check(f):\n    n = 2\n    for i in range(n):\n        assert f(i, n) == i + n", 1),
        ("def check(f):\n    if f(1, 1) == 2:\n        return\n    assert False", 1),
        ("import math\n\nassert add(1, 2) == math.sqrt(9)", 1),
        ("assert add(1, 2) == 3, 'sum'\nassert [add(i, 1) for i in range(3)] == [1, 2, 3]", 1),
    ],
)
def test_tests_may_have_every_usual_form(tests: object, expected: float) -> None:
    assert share(ADD, tests) == expected


def test_a_body_is_put_behind_its_signature() -> None:
    signature = '"""Add two numbers."""\n\ndef add(a, b):\n'
    for body in ("    return a + b", "return a + b", "c = a\n    c += b\n    return c", "c = a\nc += b\nreturn c"):
        assert share(body, prefix=signature) == 3 / 4
    assert share(ADD, prefix=signature) == 3 / 4
    assert share("def add(a, b):\n    return base + a + b", prefix="base = 0") == 0
    assert share("add = int.__add__", prefix="import math") == 3 / 4


def test_setup_and_entry_point_are_fields_of_the_row() -> None:
    assert share("def add(a, b):\n    return math.fsum((a, b))", setup="import math") == 3 / 4
    check = "def check(candidate):\n    assert candidate(1, 2) == 3"
    helper = f"{ADD}\n\ndef other():\n    return 0"
    assert share(helper, check) == 0
    assert share(helper, check, entry_point="add") == 1


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("assert add(1, 2 == 3", "the tests in 'tests' do not parse: SyntaxError"),
        ("x = 1", "no tests in 'tests': expected assertions"),
        ("", "no tests in 'tests'"),
        (None, "no tests in 'tests'"),
        ([], "no tests in 'tests'"),
    ],
)
def test_a_row_without_tests_that_parse_is_an_error_not_a_failure(tests: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        share(ADD, tests)


def test_a_field_that_the_row_lacks_is_named() -> None:
    with pytest.raises(KeyError, match="the row has no 'test'; it has tests"):
        passes_tests(Row(ADD, fields={"tests": ASSERTIONS}), tests="test")


def test_one_test_sees_nothing_of_another() -> None:
    program = "calls = []\n\ndef add(a, b):\n    calls.append(1)\n    open('seen', 'x').close()\n    return len(calls)"
    assert share(program, "assert add(1, 2) == 1\nassert add(0, 0) == 1") == 1


def test_a_test_that_stalls_leaves_time_for_the_others() -> None:
    stalls = "def add(a, b):\n    while (a, b) == (0, 0):\n        pass\n    return a + b"
    assert share(stalls, seconds=4) == 2 / 4


def test_tests_are_counted_before_anything_runs() -> None:
    assert [each.call for each in parse_tests(ASSERTIONS, "tests")] == ASSERTIONS.splitlines()


PREAMBLE = "import builtins, ctypes, gc, os, signal, socket, subprocess, sys, threading, time\n"
SLEEPER = "[sys.executable, '-c', 'import time; time.sleep(600)', MARK]"

# Programs that define no right `add`: each must fail its tests, whatever it tries.
ATTACKS = {
    "does not parse": "def add(a, b) return",
    "is empty": "",
    "is no text of a program": "\x00\x01",
    "is nested too deeply": "x = " + "(" * 5000 + ")" * 5000,
    "has a long sum": "x = " + "+".join(["1"] * 50000),
    "has many minus signs": "x = " + "-" * 100000 + "1",
    "raises": "raise RuntimeError",
    "raises beyond Exception": "raise KeyboardInterrupt",
    "raises a group": "raise BaseExceptionGroup('', [SystemExit()])",
    "exits": "sys.exit(0)",
    "exits at once": "os._exit(0)",
    "aborts": "os.abort()",
    "crashes": "ctypes.string_at(0)",
    "recurses": "def add(a, b):\n    return add(a, b)",
    "recurses in C": "sys.setrecursionlimit(10**9)\nf = lambda: f()\nf()",
    "loops": "while True:\n    pass",
    "loops in C": "sum(iter(int, 1))",
    "computes a huge power": "10 ** 10 ** 10",
    "matches for ever": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "sleeps": "time.sleep(600)",
    "waits for input": "input()",
    "waits for a lock": "lock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "starts a thread that stays": "threading.Thread(target=time.sleep, args=(600,)).start()\ntime.sleep(600)",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "ignores signals and sleeps": "[signal.signal(s, signal.SIG_IGN) for s in (2, 15, 24)]\ntime.sleep(600)",
    "takes memory": "x = bytearray(8 * 2**30)",
    "takes memory bit by bit": "x = []\nwhile True:\n    x.append(bytearray(2**20))",
    "takes memory in threads": "for _ in range(5000):\n    threading.Thread(target=time.sleep, args=(600,)).start()",
    "forks": "while True:\n    os.fork()",
    "forks a few": "[os.fork() for _ in range(6)]\ntime.sleep(600)",
    "starts a process": f"subprocess.Popen({SLEEPER})",
    "starts a session": f"subprocess.Popen({SLEEPER}, start_new_session=True)",
    "waits for a session": f"subprocess.run({SLEEPER}, start_new_session=True)",
    "starts a daemon": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        "
    f"subprocess.run({SLEEPER})",
    "kills its parent": "os.kill(os.getppid(), 9)",
    "kills its parent by C": "ctypes.CDLL(None).kill(os.getppid(), 9)",
    "kills its grandparents": "for pid in range(1, 10):\n    ctypes.CDLL(None).kill(pid, 9)",
    "kills all": "ctypes.CDLL(None).kill(-1, 9)",
    "kills its group": "os.killpg(0, 9)",
    "kills kedro": "ctypes.CDLL(None).kill(KEDRO, 9)",
    "stops its parent": "ctypes.CDLL(None).kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(600)",
    "prints much": "while True:\n    print('x' * 10**6)",
    "writes where the answer goes": "for d in range(3, 64):\n    try: os.write(d, b'x' * 99)\n    except OSError: pass",
    "writes there endlessly": "while True:\n    for d in range(64):\n        try: os.write(d, b'{}' * 9999)\n"
    "        except OSError: pass",
    "answers for the verifier": 'for d in range(3, 64):\n    try: os.write(d, b\'{"score": 1, "ends": false}\\n\')\n'
    "    except OSError: pass",
    "closes every file": "os.closerange(0, 4096)",
    "fills a file": "f = open('big', 'wb')\nwhile True:\n    f.write(b'x' * 2**20)",
    "makes a large sparse file": "f = open('big', 'wb')\nf.truncate(2**40)",
    "connects": "socket.create_connection(('127.0.0.1', 80), timeout=5)",
    "connects by C": "libc = ctypes.CDLL(None)\nplace = bytes([2, 0, 0, 80, 127, 0, 0, 1] + [0] * 8)\n"
    "assert libc.connect(libc.socket(2, 1, 0), place, 16) == 0\nadd = int.__add__",
    "looks up a name": "socket.getaddrinfo('example.org', 80)",
    "reads the parent's variables": "assert 'SECRET' in open('/proc/%d/environ' % KEDRO).read()\nadd = int.__add__",
    "looks for secrets": "assert 'SECRET' in os.environ\nadd = int.__add__",
    "replaces the judge's tools": "builtins.exec = builtins.compile = lambda *a: None\nos.write = lambda *a: 0",
}


SOME = """exits; crashes; takes memory; starts a session; kills its parent by C; kills all; stops itself; fills a file
writes where the answer goes; connects by C; looks for secrets; replaces the judge's tools"""


@pytest.mark.parametrize(
    "names",
    [tuple(SOME.replace("\n", "; ").split("; ")), pytest.param(tuple(ATTACKS), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_attackers_pass_no_test_and_leave_nothing_behind(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    options = VerifierOptions(callable="ilf_kedro.verifiers:passes_tests", seconds=1.5, memory_mib=512)
    fields = {"tests": "assert add(1, 2) == 3"}
    outcomes: dict[str, Outcome] = {}
    with VerifierProcess(options) as process:
        process.start()
        if not process.isolated:
            pytest.skip("this system allows no namespaces of one's own: some of these would reach others")
        for name in names:
            constants = f"MARK = {str(tmp_path)!r}\nKEDRO = {os.getpid()}\n"
            outcomes[name] = process.score(Row(f"{PREAMBLE}{constants}{ATTACKS[name]}", fields=fields))
            assert process.score(Row(ADD, fields=fields)) == Outcome(score=1.0), f"the row after one that {name}"
    undefined = {name: outcome for name, outcome in outcomes.items() if outcome != Outcome(score=0.0)}
    if os.geteuid() == 0:  # whose processes the kernel does not count
        undefined.pop("forks", None)
    assert undefined == {}
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in (each.info["cmdline"] or [])]


def test_there_are_fifty_four_attacks() -> None:
    assert len(ATTACKS) == 54


@pytest.mark.slow
@pytest.mark.skipif(not FEEDBACK.exists(), reason=f"{FEEDBACK.name} is not beside the project")
def test_sixty_functions_pass_the_tests_once_people_corrected_them() -> None:
    rows = [json.loads(line) for line in FEEDBACK.read_text("utf-8").splitlines()]
    options = VerifierOptions(
        callable="ilf_kedro.verifiers:passes_tests", arguments={"tests": "test", "prefix": "prompt"}, seconds=30
    )

    def scores(column: str) -> list[float | None]:
        return [process.score(Row(row[column], fields=row)).score for row in rows]

    with VerifierProcess(options) as process:
        whole, bodies, initial = map(
            scores, ("unedited_annotator_completion", "completion", "original_model_completion")
        )
    assert len(rows) == 60
    assert [score == 1.0 for score in whole] == [row["passed"] for row in rows]
    assert sum(one != other for one, other in zip(whole, bodies, strict=True)) <= 2  # the data's own faults
    assert all(score is not None and score < 1 for score in initial)
