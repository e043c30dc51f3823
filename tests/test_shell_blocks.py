"""The commands in the README and the documents: every shell block is run as it stands, in a project of its own.

The walk of docs/own_task.md has a test of its own (test_own_task.py). A block that cannot be run has a comment on the
line before it: `<!-- not run: the reason -->`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.whole_project import WholeProject

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
OWN_TASK = ROOT / "docs" / "own_task.md"
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```(?:sh|bash|shell|console)\n(?P<code>.*?)^```", re.M | re.S
)
MANY = 8  # blocks that are not run: each more than these is a command that nobody tries


@dataclass(frozen=True)
class Block:
    """A block of shell code, and why it is not run."""

    file: Path
    code: str
    reason: str | None


def blocks() -> list[Block]:
    texts = {file: file.read_text("utf-8") for file in DOCUMENTS if file.is_file()}
    return [
        Block(file, found["code"], found["reason"]) for file, text in texts.items() for found in BLOCK.finditer(text)
    ]


def as_run_by_the_test(code: str) -> str:
    """Return the script: in the environment `test` (by KEDRO_ENV), whose tables are in a folder of their own."""
    return re.sub(r"\bdata/0(?=[2-8]_)", "data/test/0", code)


def test_few_blocks_are_left_out_and_each_says_why() -> None:
    left_out = [block for block in blocks() if block.reason is not None]
    assert len(left_out) <= MANY
    assert all(len(block.reason or "") > 20 for block in left_out)


def test_every_option_in_a_block_is_one_that_kedro_run_has() -> None:
    """Quick, so that a renamed option is found by `make test` already."""
    from kedro.framework.cli.project import run

    known = {name for option in run.params for name in option.opts}
    for block in blocks():
        for line in block.code.splitlines():
            if line.startswith(("kedro run", "python -m ilf_kedro")):
                assert set(re.findall(r"(?<=\s)--[a-z-]+", line.split("#")[0])) <= known, line


@pytest.mark.slow
def test_every_shell_block_runs(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project", KEDRO_ENV="test")
    project.write_local("parameters.yml", {"train_sizes": [6, 12]})  # as conf/base has them, and the documents say
    project.kedro("run")
    prelude = f'set -eu\nkedro() {{ "{sys.executable}" -m kedro "$@"; }}\n'
    run = [block for block in blocks() if block.reason is None and block.file != OWN_TASK]
    assert run
    for block in run:
        done = subprocess.run(
            ["bash", "-c", prelude + as_run_by_the_test(block.code)],
            cwd=project.path,
            env=project.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        where = block.file.relative_to(ROOT)
        assert done.returncode == 0, f"{where}:\n{block.code}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
