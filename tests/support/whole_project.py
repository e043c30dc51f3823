"""A copy of the whole project in a folder of its own, run as a user runs it: by the command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

from ilf_kedro.cli import run as run_command
from ilf_kedro.schemas.run_record import RunRecord
from tests.support.kedro_setup import set_up

ROOT = Path(__file__).parents[2]


@dataclass
class WholeProject:
    """A copy of what is in git (the models on disk are linked), with its own data."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path, **variables: str) -> WholeProject:
        """Copy the project to `path`; `variables` are set for every command."""
        junk = (".ipynb_checkpoints", "__pycache__", "*.egg-info")
        for name in ("notebooks", "src"):
            shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns(*junk))
        shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local", *junk))
        shutil.copytree(ROOT / "data" / "01_raw", path / "data" / "01_raw")
        (path / "conf" / "local").mkdir()
        (path / "data" / "06_models").mkdir(parents=True)
        for model in ("tiny-random-llama", "smollm2-135m-instruct"):
            (path / "data" / "06_models" / model).symlink_to(ROOT / "data" / "06_models" / model)
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(ROOT / name, path / name)
        return cls(path, variables)

    def copy(self, path: Path) -> WholeProject:
        """Copy the project with all that it has made."""
        shutil.copytree(self.path, path, symlinks=True)
        return WholeProject(path, self.variables)

    def write_local(self, name: str, content: Mapping[str, object]) -> None:
        """Write a file of the user's own layer, conf/local."""
        (self.path / "conf" / "local" / name).write_text(yaml.safe_dump(dict(content)), encoding="utf-8")

    def drop_last_row(self, split: str) -> None:
        """Take the last row out of a split's raw file."""
        file = self.path / "data" / "01_raw" / "slf5k_sample" / f"{split}.jsonl"
        lines = file.read_text("utf-8").splitlines(keepends=True)
        file.write_text("".join(lines[:-1]), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of every command: wide lines, the user's layer counts, one thread."""
        own = {"COLUMNS": "250", "ILF_KEDRO_LOCAL_ENV": "local", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        return {**os.environ, **own, "PYTHONIOENCODING": "utf-8", **self.variables}

    def kedro(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a kedro command; its output, errors with it, is in `stdout`."""
        done = subprocess.run(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kedro {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done

    def kedro_run_here(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
        """Run `kedro run` in the process of the test, which has imported everything; returns how it ended."""
        monkeypatch.chdir(self.path)
        set_up(monkeypatch, users_layer="local")
        return CliRunner().invoke(run_command, arguments)

    def kill(self, words: str, *arguments: str) -> str:
        """Run a kedro command, and end it by SIGKILL as soon as a line of its output holds `words`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        seen = []
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line)
            if words in line:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        if process.wait() != -signal.SIGKILL:
            raise AssertionError(f"the run ended by itself before {words!r}:\n{''.join(seen)[-6000:]}")
        return "".join(seen)

    def kill_once(self, happened: Callable[[], bool], *arguments: str, within: float = 1800) -> str:
        """Run a kedro command, end it by SIGKILL as soon as `happened` says so, and return its output.

        Raises:
            AssertionError: it ended by itself before that, or `within` seconds were over.
        """
        output = self.path / "killed.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "kedro", *arguments],
                cwd=self.path,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                end = time.monotonic() + within
                while process.poll() is None and time.monotonic() < end and not happened():
                    time.sleep(0.01)
            finally:
                process.kill()
                ended = process.wait()
        printed = output.read_text("utf-8", errors="replace")
        if ended != -signal.SIGKILL or not happened():
            raise AssertionError(f"the run was not killed where it should be ({ended}):\n{printed[-6000:]}")
        return printed

    def record(self, root: str = "data/test") -> RunRecord:
        """Return the record of the latest run."""
        (path,) = self.latest("08_reporting/run_record.json/*/*.json", root).values()
        return RunRecord.model_validate_json(path.read_bytes())

    def latest(self, pattern: str, root: str = "data/test") -> dict[str, Path]:
        """Return the newest version of every data set whose path below `root` matches."""
        newest: dict[str, Path] = {}
        for path in sorted(each for each in (self.path / root).glob(pattern) if each.is_file()):
            newest[str(path.parent.parent.relative_to(self.path / root))] = path
        return newest

    def tables(self, root: str = "data/test") -> dict[str, pd.DataFrame]:
        """Return the newest version of every table."""
        return {name: pd.read_parquet(path) for name, path in self.latest("**/*.parquet", root).items()}


def assert_same_tables(left: Mapping[str, pd.DataFrame], right: Mapping[str, pd.DataFrame]) -> None:
    """Check that two runs made the same tables: texts, choices and row order equal, floats to 1e-5."""
    assert sorted(left) == sorted(right)
    for name, table in left.items():
        pd.testing.assert_frame_equal(table, right[name], check_exact=False, rtol=0, atol=1e-5, obj=name)
