"""The project as a package: a wheel and an archive of the configuration, in an empty folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.whole_project import WholeProject

ROOT = Path(__file__).parents[1]


def build(source: Path, target: Path) -> tuple[Path, Path]:
    """Do what `kedro package` does, but with the setuptools that are installed, so that nothing is downloaded."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    archive = target / "conf-ilf_kedro.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source / "conf", "conf", filter=lambda entry: None if entry.name.startswith("conf/local/") else entry)
    (wheel,) = target.glob("*.whl")
    return wheel, archive


@pytest.mark.slow
def test_a_package_runs_in_an_empty_folder_with_its_own_prompts(tmp_path: Path) -> None:
    pytest.importorskip("build")
    source = WholeProject.create(tmp_path / "source")
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, source.path / name)
    prompt = source.path / "conf" / "base" / "prompts" / "refinement_with_feedback.yml"
    marked = prompt.read_text("utf-8").replace("text: |-\n", "text: |-\n  (packaged)\n", 1)
    assert "(packaged)" in marked
    prompt.write_text(marked, encoding="utf-8")
    wheel, archive = build(source.path, tmp_path / "dist")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)

    folder = WholeProject(tmp_path / "empty", {"PYTHONPATH": str(site)})
    shutil.copytree(source.path / "data", folder.path / "data", symlinks=True)
    with tarfile.open(archive) as tar:
        tar.extract("conf/logging.yml", folder.path, filter="data")
    command = ["--conf-source", str(archive), "--env", "test", "--pipelines", "data_prep,refinement"]
    done = subprocess.run(
        [sys.executable, "-m", "ilf_kedro", *command],
        cwd=folder.path,
        env=folder.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    record = folder.record()
    assert record.outcome == "succeeded"
    used = {each.name: each.content_hash for each in record.loaded}
    source.kedro("run", "--env", "test", "--pipelines", "data_prep,refinement")
    assert {each.name: each.content_hash for each in source.record().loaded} == used
    assert len(folder.tables()["04_feature/refinements/refinement_with_feedback.parquet"]) > 0
