"""The diffs in docs/architecture.md: each applies to the tree as it is, and the test that it adds passes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DIFFS = re.findall(r"```diff\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.DOTALL)
_ADDED = re.compile(r"^\+\+\+ b/src/(?:\w+/)*?(\w+)(?:/__init__)?\.py", re.MULTILINE)
NAMES = [_ADDED.findall(diff)[0] for diff in DIFFS]


@pytest.mark.slow
@pytest.mark.parametrize("diff", DIFFS, ids=NAMES)
def test_a_documented_diff_applies_and_its_test_passes(diff: str, tmp_path: Path) -> None:
    for folder in ("src", "tests", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    applied = subprocess.run(
        ["git", "apply", "--unidiff-zero", "-"], input=diff, text=True, cwd=tmp_path, capture_output=True, check=False
    )
    assert applied.returncode == 0, f"{applied.stderr}: the tree has changed; renew the diff in docs/architecture.md"
    tests = re.findall(r"^\+\+\+ b/(tests/\S+)", diff, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_selection(_ADDED.findall(diff)[0], tests)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src"), "HF_HUB_OFFLINE": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


def _selection(name: str, tests: list[str]) -> list[str]:
    """Return the tests to run: all that the diff adds, or those of the new thing among others."""
    if all(name in Path(test).name for test in tests):
        return tests
    return [*tests, "-k", name]


def test_the_documented_diffs_are_short() -> None:
    assert len(DIFFS) == 3
    for diff in DIFFS:
        assert 20 < sum(line[:1] in "+-" for line in diff.splitlines() if line) < 80
