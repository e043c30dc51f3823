"""Everything under one root given by a variable: a catalog as the project writes it, on disk and on S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, DatasetError
from kedro.validation.exceptions import DataValidationError
from omegaconf.errors import InterpolationResolutionError
from omegaconf.resolvers import oc

from ilf_kedro.datasets import TableDataset

FIRST, SECOND = "2026-01-01T00.00.00.000Z", "2026-02-01T00.00.00.000Z"
CATALOG = """
"examples.{split}":
  type: ilf_kedro.datasets.TableDataset
  filepath: ${globals:root}/03_primary/examples/{split}.parquet
  versioned: true
  validator: ilf_kedro.schemas.Targets
  metadata: {kedro-viz: {layer: primary, preview_args: {nrows: 1}}}

training_log:
  type: ilf_kedro.datasets.TableDataset
  filepath: ${globals:root}/06_models/log.parquet
  versioned: true
  validator: ilf_kedro.schemas.TrainingLog

"finetune.{arm}.n{size}.checkpoint":
  type: ilf_kedro.datasets.CheckpointDataset
  filepath: ${globals:root}/06_models/finetune/{arm}_n{size}
  local_cache: ${globals:local_cache}
  versioned: true
  credentials: null

"figure.{name}":
  type: plotly.JSONDataset
  filepath: ${globals:root}/08_reporting/figures/{name}.json
  versioned: true

report:
  type: text.TextDataset
  filepath: ${globals:root}/08_reporting/report.html
  versioned: true
  fs_args:
    open_args_save: {encoding: utf-8, newline: ""}
    open_args_load: {encoding: utf-8, newline: ""}

published_results:
  type: pandas.CSVDataset
  filepath: ${globals:root}/01_raw/published.csv
  load_args: {dtype: str, keep_default_na: false}
  save_args: {index: false}

run_output:
  type: json.JSONDataset
  filepath: ${globals:root}/08_reporting/output.json
  versioned: true
"""


def read_catalog(folder: Path) -> dict[str, Any]:
    loader = OmegaConfigLoader(
        str(folder), env="cloud", base_env="base", default_run_env="local", custom_resolvers={"oc.env": oc.env}
    )
    return dict(loader["catalog"])


@pytest.fixture(params=["local", "s3"])
def configuration(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The catalog above, read as Kedro reads it, with its root from the environment."""
    if request.param == "s3":
        request.getfixturevalue("s3_environment")
    monkeypatch.setenv("ILF_ROOT", f"s3://ilf/{tmp_path.name}" if request.param == "s3" else str(tmp_path / "data"))
    for folder, name, text in [
        ("base", "catalog.yml", CATALOG),
        ("base", "globals.yml", f"root: data\nlocal_cache: {tmp_path / 'cache'}\n"),
        ("cloud", "globals.yml", "root: ${oc.env:ILF_ROOT}\n"),
    ]:
        (tmp_path / "conf" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / folder / name).write_text(text, encoding="utf-8")
    return read_catalog(tmp_path / "conf")


def catalog(configuration: dict[str, Any], save: str | None = None, load: dict[str, str] | None = None) -> DataCatalog:
    return DataCatalog.from_config(configuration, save_version=save, load_versions=load)


def targets(*rows: tuple[str, str | None, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["example_id", "title", "post", "target"], dtype="str")


def test_tables_come_back_as_they_were_with_their_versions(configuration: dict[str, Any]) -> None:
    old = targets(("007", None, "line\r\nline\u2028😀", "1e5"), ("1.0", "NULL", "é", "nan"))
    new = targets(("008", "", "p", "t"))
    catalog(configuration, FIRST).save("examples.train", old)
    catalog(configuration, SECOND).save("examples.train", new)

    latest = catalog(configuration)
    pd.testing.assert_frame_equal(latest.load("examples.train"), new)
    pd.testing.assert_frame_equal(catalog(configuration, load={"examples.train": FIRST}).load("examples.train"), old)
    assert latest.get("examples.train").list_versions(full_path=False) == [SECOND, FIRST]
    assert not latest.exists("examples.test")
    assert catalog(configuration).load("examples.train")["title"].isna().tolist() == [False]  # "" is no null


@pytest.mark.parametrize("title", [pd.Series([], dtype="object"), pd.Series([None, None], dtype="object")])
def test_empty_tables_and_columns_keep_their_types(configuration: dict[str, Any], title: pd.Series) -> None:
    n = len(title)
    table = pd.DataFrame({"example_id": list("ab")[:n], "title": title, "post": ["p"] * n, "target": ["t"] * n})
    catalog(configuration, FIRST).save("examples.train", table.astype({"post": "object"}))

    loaded = catalog(configuration).load("examples.train")

    assert loaded["title"].isna().all()
    pd.testing.assert_series_equal(loaded.dtypes, targets().dtypes)

    columns = ["step", "epoch", "loss", "learning_rate", "gradient_norm", "n_examples", "n_truncated"]
    log = pd.DataFrame({column: [] for column in columns})
    catalog(configuration, FIRST).save("training_log", log)
    expected = ["int64", "float64", "float64", "float64", "float64", "int64", "int64"]
    assert [str(dtype) for dtype in catalog(configuration).load("training_log").dtypes] == expected


def test_tables_are_validated_when_saved_and_when_loaded(configuration: dict[str, Any]) -> None:
    wrong = targets(("1", None, "p", "t")).drop(columns="target")
    with pytest.raises(DataValidationError, match=r"examples\.train' on save[\s\S]*target"):
        catalog(configuration, FIRST).save("examples.train", wrong)
    assert not catalog(configuration).exists("examples.train")

    catalog(configuration, FIRST).get("examples.train").save(wrong)  # past the catalog, so unchecked
    with pytest.raises(DataValidationError, match=r"examples\.train' on load[\s\S]*target"):
        catalog(configuration).load("examples.train")


def test_checkpoints_come_back(configuration: dict[str, Any], make_checkpoint: Any) -> None:
    name = "finetune.refinements.n100.checkpoint"
    made = make_checkpoint("a", b"old")
    catalog(configuration, FIRST).save(name, made)
    catalog(configuration, SECOND).save(name, make_checkpoint("b", b"new"))

    assert (catalog(configuration).load(name).directory / "model.safetensors").read_bytes() == b"new"
    old = catalog(configuration, load={name: FIRST}).load(name)
    assert (old.directory / "model.safetensors").read_bytes() == b"old"
    assert old.record == made.record


def test_figures_reports_and_other_files_come_back(configuration: dict[str, Any]) -> None:
    figure = go.Figure(go.Scatter(x=[100, 1000], y=[0.25, 0.5], name="refinements"))
    page = "<p>é 😀</p>\r\n<script>1\u2028</script>\n"
    saving = catalog(configuration, FIRST)
    saving.save("figure.scaling", figure)
    saving.save("report", page)
    saving.save("run_output", {"seconds": 1.5})
    saving.save("published_results", pd.DataFrame({"id": ["007"], "value": [""]}))

    loading = catalog(configuration)
    assert loading.load("figure.scaling") == figure
    assert loading.load("report") == page
    assert loading.load("run_output") == {"seconds": 1.5}
    assert loading.load("published_results").to_dict("list") == {"id": ["007"], "value": [""]}
    assert loading.get("figure.scaling").preview()["data"][0]["name"] == "refinements"


def test_tables_are_previewed_for_kedro_viz(configuration: dict[str, Any]) -> None:
    table = targets(("007", None, "p", "t"), ("008", "title", "q", "u"))
    catalog(configuration, FIRST).save("examples.train", table)
    catalog(configuration, FIRST).save("examples.empty", table.iloc[:0])

    preview = catalog(configuration).get("examples.train").preview(nrows=1)
    assert preview["columns"] == ["example_id", "title", "post", "target"]
    assert preview["data"] == [["007", None, "p", "t"]]
    assert catalog(configuration).get("examples.empty").preview()["data"] == []


def test_the_root_must_be_given(configuration: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ILF_ROOT")
    with pytest.raises(InterpolationResolutionError, match="Environment variable 'ILF_ROOT' not found"):
        read_catalog(tmp_path / "conf")


def test_a_table_that_fails_half_way_leaves_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = {
        "t": {"type": "ilf_kedro.datasets.TableDataset", "filepath": str(tmp_path / "t.parquet"), "versioned": True}
    }
    catalog(configuration, FIRST).save("t", pd.DataFrame({"a": [1]}))

    write = Path.write_bytes

    def fail_half_way(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail_half_way)
        with pytest.raises(DatasetError, match=r"could not save the table .*No space left"):
            catalog(configuration, SECOND).save("t", pd.DataFrame({"a": [2]}))

    assert catalog(configuration).load("t")["a"].tolist() == [1]
    assert [path.name for path in (tmp_path / "t.parquet" / SECOND).iterdir()] == []


def test_an_unversioned_table_is_replaced(tmp_path: Path) -> None:
    table = TableDataset(filepath=str(tmp_path / "deep" / "t.parquet"))
    for number in (1, 2):
        table.save(pd.DataFrame({"a": [number]}))
    assert table.load()["a"].tolist() == [2]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["t.parquet"]


def test_what_parquet_cannot_hold_leaves_nothing_behind(configuration: dict[str, Any]) -> None:
    log = {"step": [1], "epoch": [1.0], "loss": [0.5], "learning_rate": [0.1], "gradient_norm": [1.0]}
    log |= {"n_examples": [4], "n_truncated": [0]}
    catalog(configuration, FIRST).save("training_log", pd.DataFrame(log))
    unwritable = pd.DataFrame({"mixed": [1, "one", {"a": 1}]})
    with pytest.raises(DatasetError, match="Failed while saving"):
        catalog(configuration, SECOND).get("training_log").save(unwritable)
    assert catalog(configuration).load("training_log")["loss"].tolist() == [0.5]


def test_a_missing_bucket_is_said(s3_environment: dict[str, str], make_checkpoint: Any) -> None:
    entries = {
        "t": {"type": "ilf_kedro.datasets.TableDataset", "filepath": "s3://nowhere/t.parquet"},
        "c": {"type": "ilf_kedro.datasets.CheckpointDataset", "filepath": "s3://nowhere/c"},
    }
    for name, value in (("t", pd.DataFrame({"a": [1]})), ("c", make_checkpoint())):
        entry = {name: entries[name] | {"versioned": True}}
        with pytest.raises(DatasetError, match=r"could not save the .*nowhere.*bucket\) exists"):
            catalog(entry, FIRST).save(name, value)
