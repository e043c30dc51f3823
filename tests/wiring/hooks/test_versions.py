"""Which versions a run loads and saves, and which are refused before anything runs."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from kedro.pipeline import Node, Pipeline

from ilf_kedro.wiring.config_loader import ConfigurationError
from tests.support.mini_project import MiniProject, project, text_entry

__all__ = ["project"]

NEWER = "2999-01-01T00.00.00.000Z"


def save_elsewhere(project: MiniProject, name: str, text: str) -> None:
    """Do what another run does that started later, and is faster."""
    file = project.path / "data" / f"{name}.txt" / NEWER / f"{name}.txt"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def versions(project: MiniProject, name: str) -> list[str]:
    return sorted(path.name for path in (project.path / "data" / f"{name}.txt").iterdir())


@pytest.fixture
def chain(project: MiniProject) -> MiniProject:
    """make: raw → a → b; use: a → c, and a and c → d. All but raw are versioned."""
    entries = {name: text_entry(name, versioned=name != "raw") for name in ("raw", "a", "b", "c", "d")}
    project.write("base/catalog_texts.yml", {**entries, "table.{name}": text_entry("{name}", versioned=True)})
    (project.path / "data" / "raw.txt").write_text("hello")
    project.register(
        make=Pipeline([Node(str.upper, "raw", "a", name="make_a"), Node(str.lower, "a", "b", name="make_b")]),
        use=Pipeline([Node(str.upper, "a", "c", name="make_c"), Node(str.join, ["a", "c"], "d", name="make_d")]),
    )
    return project


def kept(project: MiniProject, name: str, version: str) -> str:
    return (project.path / "data" / f"{name}.txt" / version / f"{name}.txt").read_text()


def test_a_run_reads_what_it_saved_where_another_has_saved_since(chain: MiniProject) -> None:
    def make_slowly(text: str) -> str:
        save_elsewhere(chain, "a", "of another run")
        return text.upper()

    chain.register(
        make=Pipeline([Node(make_slowly, "raw", "a", name="make_a"), Node(str.lower, "a", "b", name="make_b")])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Kedro's: the version loaded is not the one saved
        chain.run()
    assert len(versions(chain, "a")) == 2
    assert kept(chain, "b", versions(chain, "b")[0]) == "hello"


def test_all_nodes_of_a_run_read_the_same_version_of_an_input(chain: MiniProject) -> None:
    def use_slowly(text: str) -> str:
        save_elsewhere(chain, "a", "of another run")
        return text.lower()

    chain.run(pipeline_names=["make"])
    second = Node(lambda a, c: f"{a} {c}", ["a", "c"], "d", name="make_d")
    chain.register(use=Pipeline([Node(use_slowly, "a", "c", name="make_c"), second]))
    chain.run(pipeline_names=["use"])
    assert kept(chain, "d", versions(chain, "d")[0]) == "HELLO hello"


def test_only_missing_outputs_are_made_where_that_is_asked_for(chain: MiniProject) -> None:
    chain.run(pipeline_names=["make"])
    chain.run(pipeline_names=["make", "use"], only_missing_outputs=True)
    assert [len(versions(chain, name)) for name in "abcd"] == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["aa", "table.a"])
def test_a_name_that_the_run_does_not_read_gets_the_nearest(chain: MiniProject, name: str) -> None:
    chain.run(pipeline_names=["make"])
    with pytest.raises(ConfigurationError, match=rf"(?s)nothing was run.*{name}: .*(did you mean 'a'|known: a)"):
        chain.run(pipeline_names=["use"], load_versions={name: versions(chain, "a")[0]})
    assert not (chain.path / "data" / "c.txt").exists()


def test_a_version_that_does_not_exist_gets_those_that_do(chain: MiniProject) -> None:
    chain.run(pipeline_names=["make"])
    (only,) = versions(chain, "a")
    with pytest.raises(ConfigurationError, match=f"(?s)a: there is no version 2001; .*{only}"):
        chain.run(pipeline_names=["use"], load_versions={"a": "2001"})
    assert not (chain.path / "data" / "c.txt").exists()


def test_a_version_of_what_the_run_itself_makes_is_refused(chain: MiniProject) -> None:
    chain.run(pipeline_names=["make"])
    with pytest.raises(ConfigurationError, match="a: this run makes it"):
        chain.run(pipeline_names=["make", "use"], load_versions={"a": versions(chain, "a")[0]})
    assert len(versions(chain, "a")) == 1


def test_a_version_of_what_has_none_is_refused(chain: MiniProject) -> None:
    with pytest.raises(ConfigurationError, match="raw: it has no versions"):
        chain.run(pipeline_names=["make"], load_versions={"raw": NEWER})


def test_every_wrong_version_is_named_at_once(chain: MiniProject) -> None:
    chain.run(pipeline_names=["make"])
    with pytest.raises(ConfigurationError, match=r"(?s)b: this run does not read it.*a: there is no version"):
        chain.run(pipeline_names=["use"], load_versions={"b": "2001", "a": "2001"})


def test_the_record_of_a_run_is_its_own_where_another_has_ended(chain: MiniProject, tmp_path: Path) -> None:
    record = chain.path / "data" / "run_record.json" / NEWER / "run_record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chain.run(pipeline_names=["make"])
    assert len(list(record.parents[1].iterdir())) == 2
