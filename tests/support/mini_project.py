"""A small Kedro project around this package, for tests of what stands beside the pipelines."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.pipeline import Pipeline

import ilf_kedro.pipeline_registry
from tests.support.kedro_setup import forget_registry, set_up

ROOT = Path(__file__).parents[2]

RECORD_ENTRY = {
    "type": "ilf_kedro.datasets.run_record.RunRecordDataset",
    "filepath": "data/run_record.json",
    "versioned": True,
}


def text_entry(name: str, *, versioned: bool = False) -> dict[str, Any]:
    """A catalog entry for a text file in the project's data folder."""
    return {"type": "text.TextDataset", "filepath": f"data/{name}.txt", "versioned": versioned}


@dataclass
class MiniProject:
    """A project folder with the real base parameters, whose catalog and pipelines a test chooses."""

    path: Path
    monkeypatch: pytest.MonkeyPatch

    def write(self, file: str, content: object) -> None:
        """Write a YAML file below conf/."""
        target = self.path / "conf" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(yaml.safe_dump(content), encoding="utf-8")

    def register(self, **pipelines: Pipeline) -> None:
        """Let the project have these pipelines in place of its own."""
        registered = {**pipelines, "__default__": sum(pipelines.values(), Pipeline([]))}
        self.monkeypatch.setattr(ilf_kedro.pipeline_registry, "register_pipelines", lambda: registered)
        forget_registry()

    def session(self, env: str | None = None, params: dict[str, Any] | None = None) -> KedroSession:
        """Start a session as `kedro run --env … --params …` does."""
        forget_registry()
        return KedroSession.create(project_path=self.path, env=env, runtime_params=params, save_on_close=False)

    def run(self, env: str | None = None, params: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run a pipeline, with the options of KedroSession.run."""
        with self.session(env, params) as session:
            return session.run(**options)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MiniProject:
    """A project with base, test and local environments; conf/local counts, as it does for users."""
    for file in (ROOT / "conf" / "base").glob("parameters*.yml"):
        (tmp_path / "conf" / "base").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "conf" / "base" / file.name)
    for name in ("conf/test", "conf/local", "data"):
        (tmp_path / name).mkdir(parents=True)
    set_up(monkeypatch, users_layer="local")
    mini = MiniProject(tmp_path, monkeypatch)
    mini.write("base/catalog.yml", {"run_record": RECORD_ENTRY})
    return mini
