"""Wrong catalog entries: all named at once, each with its file and the nearest right key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ilf_kedro.settings import CONFIG_LOADER_ARGS
from ilf_kedro.wiring.catalog_check import CatalogError, check_catalog, check_place
from ilf_kedro.wiring.config_loader import LayeredConfigLoader

TABLE = {"type": "ilf_kedro.datasets.TableDataset", "filepath": "data/x.parquet", "versioned": True}


def check(conf: Path, **entries: object) -> None:
    for layer, content in {"base": {"right": TABLE}, "test": entries}.items():
        (conf / layer).mkdir(exist_ok=True)
        (conf / layer / "catalog.yml").write_text(yaml.safe_dump(content))
    check_catalog(LayeredConfigLoader(conf, "test", **{**CONFIG_LOADER_ARGS, "default_run_env": "base"}))


def test_right_entries_pass(tmp_path: Path) -> None:
    validated = {**TABLE, "validator": "x.Y", "metadata": {"kedro-viz": {"layer": "raw"}}}
    check(tmp_path, **{"scores.{scorer}": validated, "text": {"type": "text.TextDataset", "filepath": "x"}})


def test_the_projects_own_entries_pass_in_every_environment(
    project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ILF_ROOT", "ILF_API_BASE_URL", "ILF_API_MODEL"):
        monkeypatch.setenv(name, "x")
    environments = sorted(folder.name for folder in (project_root / "conf").iterdir() if folder.is_dir())
    assert "test" in environments
    for env in environments:
        if env != "local":
            check_catalog(
                LayeredConfigLoader(project_root / "conf", env, **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})
            )


def test_every_fault_is_named_at_once_with_its_file(tmp_path: Path) -> None:
    entries = {
        "raw.train": {"type": "ilf_kedro.datasets.RawRowsDataset", "filepaht": "x"},
        "raw.{split}": {"type": "ilf_kedro.datasets.RawRowsDataset", "filepath": "x", "versoned": True},
        "prompt": {"type": "ilf_kedro.datasets.PromptTemplateDataset"},
        "shell": {"type": "os.system", "filepath": "x"},
        "unknown": {"type": "nosuch.Dataset"},
        "untyped": {"filepath": "x"},
        "listed": [1, 2],
        "said": "hello",
    }
    with pytest.raises(CatalogError) as caught:
        check(tmp_path, **entries)
    first, *lines = str(caught.value).splitlines()
    assert first == "8 faults in the catalog; nothing was run."
    found = {name: text for name, _, text in (line.strip().partition(" (conf/test/catalog.yml): ") for line in lines)}
    assert set(found) >= set(entries)
    assert found["raw.train"] == "unknown key 'filepaht'; did you mean 'filepath'?"
    assert found["raw.{split}"] == "unknown key 'versoned'; did you mean 'versioned'?"
    assert found["prompt"] == "the key 'filepath' is missing"
    assert found["shell"].startswith("found the type 'os.system', expected a data set's class")
    assert found["unknown"].startswith("found the type 'nosuch.Dataset', expected a data set's class")
    for name in ("untyped", "listed", "said"):
        assert found[name].startswith("expected keys with values, and among them `type`")


def test_one_fault_is_counted_as_one(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"^1 fault in the catalog; nothing was run"):
        check(tmp_path, x={**TABLE, "filepaht": "x"})


@pytest.mark.parametrize(("name", "found"), [("[x]y", r"\[ \]"), ("a{b}", "{ }"), ("what?", r"\?")])
def test_a_project_in_a_folder_that_kedro_takes_for_a_pattern_is_refused(name: str, found: str) -> None:
    with pytest.raises(CatalogError, match=f"where Kedro takes {found} for parts of a pattern .*; move it"):
        check_place(Path("/somewhere") / name / "project")
    check_place(Path("/some where/é-(1)"))


def test_a_path_that_kedro_takes_for_a_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"x \(conf/test/catalog.yml\): found 's3://b/\[1\]/x', where Kedro takes \[ \]"
    ):
        check(tmp_path, x={**TABLE, "filepath": "s3://b/[1]/x"})
