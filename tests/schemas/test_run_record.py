"""The run record: what is in it, when it is written, and what must not be in it."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.pipeline import Node, Pipeline
from kedro.runner import ThreadRunner

from ilf_kedro.pipelines.refinement.options import RefinementOptions
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.schemas import RawRows
from ilf_kedro.schemas.redaction import MASK
from ilf_kedro.schemas.run_record import (
    GitState,
    RunRecord,
    describe_git,
    library_versions,
    peak_memory_mb,
    reset_peak_memory,
)
from ilf_kedro.wiring.hooks.content_hashes import content_hash
from tests.support.mini_project import MiniProject, project, text_entry
from tests.support.run_records import FakeModel

__all__ = ["project"]


def nodes(*steps: tuple[Callable[..., Any], str | list[str] | None, str | None]) -> Pipeline:
    return Pipeline([Node(step, source, target, name=step.__name__) for step, source, target in steps])


def records(project: MiniProject) -> list[RunRecord]:
    files = sorted((project.path / "data" / "run_record.json").glob("*/run_record.json"))
    return [RunRecord.model_validate_json(file.read_text()) for file in files]


def write_text() -> str:
    return "some text"


def bool_of(table: pd.DataFrame) -> str:
    return str(not table.empty)


def count(text: str) -> str:
    return str(len(text))


def test_a_run_is_recorded(project: MiniProject) -> None:
    project.write("base/catalog_texts.yml", {"text": text_entry("text", versioned=True), "plain": text_entry("plain")})
    project.register(
        writing=nodes((write_text, None, "text")), counting=nodes((count, "text", "n"), (str.strip, "n", "plain"))
    )
    project.run(env="test", params={"seed": 5}, pipeline_names=["writing", "counting"], tags=None)
    (record,) = records(project)
    assert record.outcome == "succeeded"
    assert record.error is None
    assert record.started <= (record.finished or record.started) <= datetime.now(UTC)
    assert (record.environment, record.pipelines, record.nodes_planned) == ("test", ("writing", "counting"), 3)
    assert record.parameters["seed"] == 5
    assert record.parameters["finetune"]["sampling"]["stop"] == [], "defaults are in it"  # type: ignore[index,call-overload]
    (version,) = [path.name for path in (project.path / "data" / "text.txt").iterdir()]
    assert version == record.run_id
    assert [(each.name, each.version) for each in record.saved] == [("plain", None), ("text", version)]
    assert [(each.name, each.version) for each in record.loaded] == [("text", version)]
    assert {each.name: each.made_by for each in (*record.loaded, *record.saved)} == {
        "text": "write_text",
        "plain": "strip",
    }
    assert [node.name for node in record.nodes] == ["write_text", "count", "strip"]
    assert record.libraries["kedro"].startswith("1.")


def peaks_can_be_reset() -> bool:
    """Whether a process may have its highest memory forgotten: on Linux, but not in every container."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def test_costs_are_measured(project: MiniProject) -> None:
    def sleep() -> str:
        time.sleep(0.2)
        return "slept"

    def work(text: str) -> str:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return text

    def fill(text: str) -> str:
        return text * int(np.ones(25_000_000).sum() > 0)  # 191 MiB, given back at once

    def rest(text: str) -> str:
        return text

    project.register(only=nodes((sleep, None, "a"), (work, "a", "b"), (fill, "b", "c"), (rest, "c", "d")))
    project.run()
    slept, worked, filled, rested = records(project)[0].nodes
    assert slept.seconds >= 0.2
    assert worked.cpu_seconds >= max(0.29, slept.cpu_seconds)
    assert records(project)[0].seconds == pytest.approx(sum(node.seconds for node in (slept, worked, filled, rested)))
    if peaks_can_be_reset():
        assert filled.memory_increase_mb == pytest.approx(191, abs=20)
        assert max(node.memory_increase_mb for node in (slept, worked, rested)) < 20
        assert rested.peak_memory_mb < filled.peak_memory_mb - 150, "each node has a peak of its own"


def test_where_the_peak_cannot_be_reset_it_is_that_of_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ilf_kedro.schemas.run_record._CLEAR_REFS", Path("/nowhere/clear_refs"))
    monkeypatch.setattr("ilf_kedro.schemas.run_record._STATUS", Path("/nowhere/status"))
    reset_peak_memory()
    assert peak_memory_mb() == pytest.approx(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, rel=0.05)


def test_a_failed_run_is_recorded_with_its_error(project: MiniProject) -> None:
    def fail(text: str) -> str:
        raise ValueError(f"cannot read {project.path}/data/x with key sk-0123456789abcdef")

    project.register(only=nodes((write_text, None, "text"), (fail, "text", "n")))
    with pytest.raises(ValueError, match="cannot read"):
        project.run()
    (record,) = records(project)
    assert record.outcome == "failed"
    assert record.error == f"ValueError: cannot read data/x with key {MASK}"
    assert [node.name for node in record.nodes] == ["write_text"]


def test_a_run_that_is_cut_off_leaves_what_it_had_done(project: MiniProject) -> None:
    """No hook is called for a BaseException, as none is when the process is killed."""
    seen: list[RunRecord] = []

    def look() -> str:
        seen.extend(records(project))
        return "looked"

    def die(text: str) -> str:
        raise KeyboardInterrupt

    project.register(only=nodes((look, None, "text"), (die, "text", "n")))
    with pytest.raises(KeyboardInterrupt):
        project.run()
    assert [(record.outcome, record.nodes) for record in seen] == [("started", ())], "written before the first node"
    (record,) = records(project)
    assert record.outcome == "started"
    assert record.finished is None
    assert [node.name for node in record.nodes] == ["look"]


def test_what_was_used_is_recorded_with_its_hash(project: MiniProject) -> None:
    template = PromptTemplate(text="Post: {{ post }}")
    things = {"prompt": template, "raw": RawRows("x.jsonl", (), content_hash="ab" * 32), "model": FakeModel()}
    used: list[object] = []

    def use(prompt: object, raw: object, model: object) -> None:
        used.extend([prompt, raw, model])

    project.register(only=nodes((use, ["prompt", "raw", "model"], None)))
    session = project.session()
    catalog = session.load_context().catalog
    from kedro.io import MemoryDataset

    class Kept(MemoryDataset):  # what a library's data set is: persistent
        def __init__(self, data: object) -> None:
            super().__init__(data, copy_mode="assign")
            self._EPHEMERAL = False

    project.monkeypatch.setattr("kedro.framework.context.KedroContext._get_catalog", lambda *_, **__: catalog)
    for name, thing in things.items():
        catalog[name] = Kept(thing)
    session.run()
    assert len(used) == 3
    (record,) = records(project)
    hashes = {each.name: each.content_hash for each in record.loaded}
    assert hashes == {"prompt": template.content_hash, "raw": "ab" * 32, "model": None}
    assert [(m.dataset, m.name, m.revision) for m in record.language_models] == [("model", "fake", "r1")]


def test_a_table_has_the_same_hash_when_it_is_made_and_when_it_is_read(project: MiniProject) -> None:
    entry = {"type": "ilf_kedro.datasets.TableDataset", "filepath": "data/table.parquet", "versioned": True}
    project.write("base/catalog_tables.yml", {"table": entry})
    texts = ["one", "", None, "two\nlines"]

    def make(seed: int) -> pd.DataFrame:
        return pd.DataFrame({"text": texts, "n": [1.5, None, 2.0, seed], "i": range(4), "null": [None] * 4})

    project.register(
        making=nodes((make, "params:seed", "table")), reading=nodes((len, "table", "a"), (bool_of, "table", "b"))
    )
    project.run(pipeline_names=["making"], params={"seed": 1})
    project.run(pipeline_names=["reading"])
    project.run(pipeline_names=["making"], params={"seed": 2})
    first, read, second = ((each.saved or each.loaded)[0] for each in records(project))
    assert (first.name, read.name) == ("table", "table")
    assert first.version == read.version != second.version
    assert first.content_hash == read.content_hash != second.content_hash
    assert re.fullmatch(r"[0-9a-f]{64}", first.content_hash or "")


def test_the_hash_of_a_table_tells_what_differs() -> None:
    table = pd.DataFrame({"a": ["x", None], "b": ["", "y"]})
    others = [table.fillna(""), table[["b", "a"]], table.iloc[::-1], table.rename(columns={"a": "c"}), table.iloc[:1]]
    hashes = [content_hash(each) for each in (table, *others)]
    assert len(set(hashes)) == len(hashes)
    assert content_hash(table.astype(object).set_index([[5, 6]])) == hashes[0]
    assert content_hash("a text") is None


def test_a_node_can_read_the_record_of_its_own_run(project: MiniProject) -> None:
    def report(record: RunRecord, text: str) -> str:
        return f"{record.outcome} {[node.name for node in record.nodes]}"

    def identify(record: RunRecord) -> str:
        return record.run_id

    project.write("base/catalog_texts.yml", {"report": text_entry("report"), "id": text_entry("id")})
    project.register(
        first=nodes((write_text, None, "text"), (report, ["run_record.so_far", "text"], "report")),
        reporting=nodes((identify, "run_record.so_far", "id")),
    )
    project.run(pipeline_names=["first"])
    assert (project.path / "data" / "report.txt").read_text() == "started ['write_text']"
    project.run(pipeline_names=["reporting"])
    assert (project.path / "data" / "id.txt").read_text() == records(project)[-1].run_id


def test_nodes_that_run_at_once_are_all_recorded(project: MiniProject) -> None:
    makers = [Node(write_text, None, f"t{index}", name=f"n{index}") for index in range(20)]
    project.register(only=Pipeline(makers))
    project.run(runner=ThreadRunner(max_workers=8))
    (record,) = records(project)
    assert {cost.name for cost in record.nodes} == {made.name for made in makers}


def test_without_an_entry_in_the_catalog_nothing_is_written(project: MiniProject) -> None:
    project.write("base/catalog.yml", {})
    project.register(only=nodes((write_text, None, "text")))
    project.run()
    assert list((project.path / "data").iterdir()) == []


def test_no_secret_and_no_place_is_in_a_record(project: MiniProject) -> None:
    secret = "sk-planted0123456789"
    project.monkeypatch.setenv("HOME", "/home/somebody")

    def look(options: RefinementOptions) -> str:
        raise ValueError(f"401 for {secret} in {Path.home()}/x, password=hunter2")

    project.write("local/credentials.yml", {"api": {"key": secret}})
    project.monkeypatch.setattr("sys.argv", ["kedro", "run", "--params", f"refinement.forbidden=[{secret}]"])
    project.register(only=nodes((look, "params:refinement", "out")))
    import click

    with pytest.raises(ValueError, match="401"), click.Context(click.Command("run")):
        project.run(params={"refinement": {"forbidden": [secret, str(project.path)]}})
    (file,) = (project.path / "data" / "run_record.json").glob("*/run_record.json")
    text = file.read_text()
    for planted in (secret, "hunter2", str(project.path), str(Path.home())):
        assert planted not in text
    record = json.loads(text)
    assert record["command"] == f"kedro run --params 'refinement.forbidden=[{MASK}]'"
    assert record["parameters"]["refinement"]["forbidden"] == [MASK, "."]


def test_the_commit_and_the_state_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    if shutil.which("git") is None:
        pytest.skip("needs git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)  # nobody's hooks and signatures
    assert describe_git(tmp_path) is None, "no repository"
    git("init", "-q")
    assert describe_git(tmp_path) is None, "no commit"
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    assert describe_git(tmp_path) == GitState(commit=git("rev-parse", "HEAD"), clean=True)
    (tmp_path / "new").write_text("1")
    assert describe_git(tmp_path) == GitState(commit=git("rev-parse", "HEAD"), clean=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_git(tmp_path) is None, "no git"


def test_the_versions_are_those_installed() -> None:
    import kedro

    assert library_versions()["kedro"] == kedro.__version__
    assert "torch" in library_versions()
