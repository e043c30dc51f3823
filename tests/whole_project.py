"""A copy of the whole project in a folder of its own, run as a user runs it: by the command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]


@dataclass
class WholeProject:
    """A copy of what is in git (the models on disk are linked), with its own data."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path, **variables: str) -> WholeProject:
        """Copy the project to `path`; `variables` are set for every command."""
        for name in ("conf", "notebooks", "src"):
            ignored = shutil.ignore_patterns("local", ".ipynb_checkpoints", "__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, path / name, ignore=ignored)
        shutil.copytree(ROOT / "data" / "01_raw", path / "data" / "01_raw")
        (path / "conf" / "local").mkdir()
        (path / "data" / "06_models").mkdir(parents=True)
        for model in ("tiny-random-llama", "smollm2-135m-instruct"):
            (path / "data" / "06_models" / model).symlink_to(ROOT / "data" / "06_models" / model)
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(ROOT / name, path / name)
        return cls(path, variables)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of every command: wide lines, the user's layer counts, one thread."""
        own = {"COLUMNS": "250", "ILF_KEDRO_LOCAL_ENV": "local", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        return {**os.environ, **own, **self.variables}

    def kedro(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a kedro command; its output, errors with it, is in `stdout`."""
        done = subprocess.run(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kedro {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done

    def kill(self, words: str, *arguments: str) -> str:
        """Run a kedro command, and end it by SIGKILL as soon as a line of its output holds `words`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
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


def version_of(paths: Sequence[Path]) -> set[str]:
    """Return the versions that the paths stand in."""
    return {path.parent.name for path in paths}
