"""Unit tests as a verifier: the share of a row's tests that the program in an output passes.

Every test loads the program anew in a process of its own (processes.py). What a program leaves behind in memory, in its
folder or as processes, no other test sees.
"""

from __future__ import annotations

import ast
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ilf_kedro.verifiers.processes import run_apart
from ilf_kedro.verifiers.row import Row

__all__ = ["Test", "passes_tests", "tests_of"]

_MOST_SECONDS = 3600.0
_SHARE_OF_TIME = 0.8  # of the row's seconds; the rest is for starting and ending processes


@dataclass(frozen=True, slots=True)
class Program:
    """What an output is part of."""

    output: str
    setup: str = ""
    prefix: str = ""
    entry_point: str = ""

    def whole(self) -> tuple[str, str]:
        """Return the program's text and the name of its function: the output, behind the prefix where it needs it."""
        signature = f"{self.prefix.rstrip()}\n    pass" if self.prefix.rstrip().endswith(":") else self.prefix
        name = self.entry_point or (_functions(signature) or [""])[-1]
        defined = _functions(self.output)
        if not self.prefix or (name in defined if name else defined):
            return self.output, name or (defined or [""])[-1]
        if signature != self.prefix:
            return f"{self.prefix.rstrip()}\n{_indented(self.output)}", name
        return f"{self.prefix}\n{self.output}", name


@dataclass(frozen=True, slots=True)
class Test:
    """One test: the statements before it that are no tests, and the statement or call that is."""

    setup: str
    call: str


def passes_tests(row: Row, *, tests: str = "tests", setup: str = "", prefix: str = "", entry_point: str = "") -> float:
    """Return the share of the row's unit tests that the output passes, in [0, 1].

    The arguments name fields: `tests` is Python text with assertions, with functions test_… or with check(candidate),
    or a list of such texts; `setup` is code that they need. `prefix` begins the program (a signature) where the output
    does not define the function itself. `entry_point` has the name of the function that check is given, which is else
    the last one in the prefix or the program. A program that does not parse, raises, stalls or needs too much passes
    no test.

    Raises:
        KeyError: the row has no such field.
        ValueError: it has no tests, or they do not parse.
    """
    program = Program(
        output=row.output,
        setup=_text_of(row, setup),
        prefix=_text_of(row, prefix),
        entry_point=_text_of(row, entry_point),
    )
    cases = tests_of(row[tests], tests)
    end = time.monotonic() + min(row.seconds, _MOST_SECONDS) * _SHARE_OF_TIME
    passed = 0
    for place, case in enumerate(cases):
        seconds = (end - time.monotonic()) / (len(cases) - place)
        passed += run_apart(partial(_run, program, case), seconds)
    return passed / len(cases)


def tests_of(value: object, field: str) -> list[Test]:
    """Return the tests in a field: each assertion, each function test_…, and each assertion in check(candidate).

    Raises:
        ValueError: there are none, or they do not parse.
    """
    texts = [str(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    tests: list[Test] = []
    for text in texts:
        try:
            body = ast.parse(text if isinstance(text, str) else "").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"the tests in {field!r} do not parse: {type(error).__name__}: {error}") from None
        tests += _tests_in(body, [])
    if not tests:
        raise ValueError(
            f"the row has no tests in {field!r}: expected assertions, functions test_…, or check(candidate)"
        )
    return tests


def _tests_in(body: Sequence[ast.stmt], before: list[ast.stmt]) -> list[Test]:
    """Return the tests among statements; all that are none are run before each test that follows them."""
    tests: list[Test] = []
    for statement in body:
        if isinstance(statement, ast.Assert):
            tests.append(_test(before, ast.unparse(statement)))
        elif isinstance(statement, ast.FunctionDef) and statement.name.startswith("test"):
            before = [*before, statement]
            tests.append(_test(before, f"{statement.name}()"))
        elif isinstance(statement, ast.FunctionDef) and statement.name == "check" and len(statement.args.args) == 1:
            before = [*before, statement]
            tests += _tests_of_check(statement, before)
        else:
            before = [*before, statement]
    return tests


def _tests_of_check(check: ast.FunctionDef, before: list[ast.stmt]) -> list[Test]:
    """Take check(candidate) apart into its assertions, where nothing else in it can end it."""
    name = check.args.args[0].arg
    inside = _tests_in(check.body, [*before, *ast.parse(f"{name} = candidate").body])
    whole = not inside or any(isinstance(node, ast.Return | ast.Yield | ast.Nonlocal) for node in ast.walk(check))
    return [_test(before, "check(candidate)")] if whole else inside


def _test(before: Sequence[ast.stmt], call: str) -> Test:
    return Test("\n".join(ast.unparse(statement) for statement in before), call)


def _run(program: Program, test: Test) -> None:
    """Run a test on a program; whatever either raises is a failure."""
    text, name = program.whole()
    candidate = f"candidate = {name}" if name else ""
    space: dict[str, object] = {"__name__": "program"}
    for each in (program.setup, text, candidate, test.setup, test.call):
        exec(compile(each, "<program>", "exec"), space)  # noqa: S102  # running it is what this is for


def _text_of(row: Row, field: str) -> str:
    return str(row[field] or "") if field else ""


def _functions(text: str) -> list[str]:
    """Return the functions and classes that a program defines; none where it does not parse."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return []
    return [each.name for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


def _indented(body: str) -> str:
    """Give a body that was stripped its indentation back: on its first line, or on all where none has any."""
    first, _, rest = body.partition("\n")
    if first[:1].isspace():
        return body
    others = [line for line in rest.splitlines() if line.strip()]
    return f"    {body}" if all(line[0].isspace() for line in others) else textwrap.indent(body, "    ")
