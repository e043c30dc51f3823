"""The project's own commands, and Kedro's beside them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import find_run_command
from kedro.framework.startup import bootstrap_project

from ilf_kedro.cli import cli
from ilf_kedro.language_models.cache import database
from ilf_kedro.language_models.cache.completion_cache import CompletionCache


@pytest.fixture
def cache(tmp_path: Path) -> CompletionCache:
    filled = CompletionCache(tmp_path / "cache.sqlite")
    filled.put_many({f"key {index}": "x" * 1000 for index in range(1000)})
    filled.get_many(["key 1", "key 2", "key 3", "no such key"])
    return filled


def invoke(project_root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["ilf-cache", *arguments], obj=bootstrap_project(project_root))


def test_size_and_hit_rate(project_root: Path, cache: CompletionCache) -> None:
    result = invoke(project_root, "size", "--file", str(cache.path))
    assert result.exit_code == 0, result.output
    assert "1000 answers" in result.output
    assert "Look-ups so far: 4, 75.0% found" in result.output


def test_prune(project_root: Path, cache: CompletionCache, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(database.time, "time", lambda: now + 40 * 86_400)
    cache.get_many(["key 1", "key 2"])
    result = invoke(project_root, "prune", "--older-than-days", "30", "--file", str(cache.path))
    assert result.exit_code == 0, result.output
    assert "998 answers deleted" in result.output
    assert " 0.0 MB freed" not in result.output
    assert set(cache.get_many(["key 1", "key 2", "key 3"])) == {"key 1", "key 2"}


def test_a_missing_file_is_named_and_not_made(project_root: Path, tmp_path: Path) -> None:
    result = invoke(project_root, "size", "--file", str(tmp_path / "absent"))
    assert result.exit_code == 1
    assert str(tmp_path / "absent") in result.output
    assert not (tmp_path / "absent").exists()


def test_the_configured_file_is_the_default(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: path.suffix != ".sqlite")
    result = invoke(project_root, "size", "--env", "test")
    assert result.exit_code == 1
    assert "no completion cache at data/test/completions.sqlite" in result.output


def test_kedro_keeps_all_its_commands(project_root: Path) -> None:
    commands = set(KedroCLI(project_root).list_commands(None))  # type: ignore[arg-type]
    assert {"run", "catalog", "registry", "package", "ipython", "jupyter", "info", "ilf-cache"} <= commands
    assert find_run_command("ilf_kedro").callback is kedro_run.callback
