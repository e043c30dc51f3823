"""The layers of the configuration, and what is set before torch is imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kedro.config import MissingConfigException
from kedro.io import DataCatalog

from ilf_kedro.settings import CONFIG_LOADER_ARGS
from ilf_kedro.wiring.config_loader import ConfigurationError, LayeredConfigLoader


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    files = {
        "base/parameters.yml": {"a": {"x": "base", "y": "base", "z": "base"}, "sizes": [1, 2, 3]},
        "test/parameters.yml": {"a": {"y": "test", "z": "test"}, "sizes": [1]},
        "local/parameters_mine.yml": {"a": {"z": "local"}},
        "base/globals.yml": {"root": "data", "other": "base"},
        "local/globals.yml": {"root": "elsewhere"},
        "base/catalog.yml": {
            "one": {"type": "MemoryDataset", "metadata": {"root": "${globals:root}", "other": "${globals:other}"}}
        },
        "local/credentials.yml": {"api": {"key": "${oc.env:ILF_TEST_KEY}"}},
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(yaml.safe_dump(content))
    return tmp_path


def loader(conf: Path, env: str | None = None, local: str = "local", **params: object) -> LayeredConfigLoader:
    return LayeredConfigLoader(conf, env, params, **{**CONFIG_LOADER_ARGS, "default_run_env": local})


def test_the_users_layer_comes_last_in_every_environment(conf: Path) -> None:
    assert loader(conf, "test")["parameters"] == {"a": {"x": "base", "y": "test", "z": "local"}, "sizes": [1]}
    assert loader(conf)["parameters"] == {"a": {"x": "base", "y": "base", "z": "local"}, "sizes": [1, 2, 3]}
    assert loader(conf, "local")["parameters"] == loader(conf)["parameters"]
    assert loader(conf, "test").layers == ("base", "test", "local")
    assert loader(conf).layers == ("base", "local")


def test_a_layer_that_names_a_tasks_inputs_replaces_the_task(conf: Path) -> None:
    base = {"inputs": {"post": {"column": "post"}}, "columns": {"feedback": "feedback"}, "output": {"clean": "code"}}
    (conf / "base" / "parameters_task.yml").write_text(yaml.safe_dump({"task": base}))
    (conf / "test" / "parameters_task.yml").write_text(yaml.safe_dump({"task": {"output": {"clean": "verbatim"}}}))
    assert loader(conf, "test")["parameters"]["task"] == base | {"output": {"clean": "verbatim"}}
    own = {"inputs": {"problem": {"column": "prompt"}}}
    (conf / "local" / "parameters_task.yml").write_text(yaml.safe_dump({"task": own}))
    assert loader(conf, "test")["parameters"]["task"] == own
    given = loader(conf, "test", task={"output": {"clean": "code"}})["parameters"]["task"]
    assert given == own | {"output": {"clean": "code"}}


@pytest.mark.parametrize("kind", ["folder", "tar.gz", "zip"])
def test_prompts_come_from_where_the_configuration_comes_from(conf: Path, kind: str, tmp_path: Path) -> None:
    entry = {"type": "ilf_kedro.datasets.PromptTemplateDataset", "filepath": "${globals:prompts}/{name}.yml"}
    (conf / "base" / "catalog_prompts.yml").write_text(yaml.safe_dump({"prompt.{name}": entry}))
    (conf / "base" / "globals.yml").write_text("{root: data, other: base, prompts: '${conf:base/prompts}'}")
    (conf / "base" / "prompts").mkdir()
    (conf / "base" / "prompts" / "mine.yml").write_text(yaml.safe_dump({"text": "Say {{ x }}"}))
    source = conf
    if kind != "folder":
        shutil.copytree(conf, tmp_path / "packed" / "conf", ignore=shutil.ignore_patterns("local", "packed"))
        format_ = {"tar.gz": "gztar", "zip": "zip"}[kind]
        source = Path(shutil.make_archive(str(tmp_path / "archive"), format_, tmp_path / "packed", "conf"))
    catalog = DataCatalog.from_config(LayeredConfigLoader(source, "base", **CONFIG_LOADER_ARGS)["catalog"])
    assert catalog.exists("prompt.mine")
    assert not catalog.exists("prompt.yours")
    assert "Say" in catalog.load("prompt.mine").text


def test_params_win_over_the_users_layer(conf: Path) -> None:
    merged = loader(conf, "test", a={"z": "params"})["parameters"]
    assert merged["a"] == {"x": "base", "y": "test", "z": "params"}


def test_globals_of_the_users_layer_reach_the_catalog(conf: Path) -> None:
    assert loader(conf, "test")["catalog"]["one"]["metadata"] == {"root": "elsewhere", "other": "base"}


def test_credentials_that_are_only_in_the_users_layer_count(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ILF_TEST_KEY", "planted")
    assert loader(conf, "test")["credentials"] == {"api": {"key": "planted"}}
    with pytest.raises(MissingConfigException):
        loader(conf, "test", local="base")["credentials"]


def test_naming_the_base_environment_leaves_the_users_layer_out(conf: Path) -> None:
    assert loader(conf, "test", local="base")["parameters"]["a"] == {"x": "base", "y": "test", "z": "test"}
    assert loader(conf, local="base")["parameters"]["a"]["z"] == "base"
    assert loader(conf, local="base")["catalog"]["one"]["metadata"]["root"] == "data"


def test_the_users_layer_need_not_exist(conf: Path) -> None:
    for file in (conf / "local").iterdir():
        file.unlink()
    (conf / "local").rmdir()
    assert loader(conf)["parameters"]["a"]["z"] == "base"
    assert loader(conf, "test")["parameters"]["a"]["z"] == "test"


def test_an_unknown_environment_is_refused_with_the_nearest_one(conf: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no environment 'tset'.*base, local, test.*mean 'test'"):
        loader(conf, "tset")


@pytest.mark.parametrize(
    ("env", "variables", "message"),
    [
        ("cloud", {}, r"ILF_ROOT is not set.*such as: ILF_ROOT=s3://bucket/prefix kedro run --env cloud"),
        ("openai", {}, r"ILF_API_BASE_URL is not set.*such as: ILF_API_BASE_URL=https://\S+ kedro run --env openai"),
        ("openai", {"ILF_API_BASE_URL": "x"}, r"ILF_API_MODEL is not set.*such as: ILF_API_MODEL=\S+ kedro run"),
    ],
)
def test_a_variable_that_an_environment_needs_is_named_with_an_example(
    project_root: Path, monkeypatch: pytest.MonkeyPatch, env: str, variables: dict[str, str], message: str
) -> None:
    for name in ("ILF_ROOT", "ILF_API_BASE_URL", "ILF_API_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=message):
        loader(project_root / "conf", env, local="base")


def test_a_variable_that_the_users_own_layer_needs_is_named(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ILF_TEST_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=r"ILF_TEST_KEY is not set, but .*conf/local\) needs it"):
        loader(conf, "test")["credentials"]


def test_other_faults_of_an_interpolation_name_the_kind_and_the_layers(conf: Path) -> None:
    (conf / "test" / "catalog.yml").write_text("two: {type: MemoryDataset, metadata: {x: '${globals:nowhere}'}}")
    with pytest.raises(ConfigurationError, match=r"the catalog \(conf/base < .*\) cannot be read: .*nowhere"):
        loader(conf, "test")["catalog"]


def test_a_value_set_by_hand_is_left_alone(conf: Path) -> None:
    made = loader(conf, "test")
    made["parameters"] = {"a": 1}
    assert made["parameters"] == {"a": 1}


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        (("a", "x"), "conf/base/parameters.yml"),
        (("a", "y"), "conf/test/parameters.yml"),
        (("a", "z"), "conf/local/parameters_mine.yml"),
        (("sizes", 0), "conf/test/parameters.yml"),
        (("b",), "--params"),
        (("nowhere",), None),
        ((), None),
    ],
)
def test_the_origin_of_a_value_is_the_last_layer_that_sets_it(
    conf: Path, path: tuple[str | int, ...], origin: str | None
) -> None:
    assert loader(conf, "test", b=1).find_origin("parameters", path) == origin


def test_the_variables_are_set_before_torch_is_imported(project_root: Path) -> None:
    """A finder on sys.meta_path sees the import of torch as it begins, and ends it there."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "TOKENIZERS_PARALLELISM", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    program = f"""
import os, sys
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("at torch", *(os.environ.get(n) for n in {names!r}))
            raise SystemExit
sys.meta_path.insert(0, Spy())
import ilf_kedro.settings
import torch
"""
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project_root, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "at torch PASSIVE 10000 false 1 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: 1\nseed: 2\n", "line 2: the key 'seed' stands there twice"),
        ("seed: 1\n".encode("utf-16"), "line 1: found bytes that are not UTF-8"),
        (b"a: 1\n# caf\xe9\n", "line 2: found bytes that are not UTF-8"),
        (b"a: {b: 1\n", "line 2: found no YAML"),
        (b"- 1\n", "line 1: found a list; expected keys with values"),
        (b"~: 2\n", "NoneType"),
        (b"a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    ],
)
@pytest.mark.parametrize("kind", ["parameters", "catalog", "credentials"])
def test_a_file_that_cannot_be_read_is_named(conf: Path, kind: str, content: bytes, message: str) -> None:
    (conf / "local" / f"{kind}.yml").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        loader(conf, "test")[kind]
    assert f"conf/local/{kind}.yml: " in str(caught.value).replace(str(conf), "conf")
    assert message in str(caught.value)


def test_every_file_that_cannot_be_read_is_named_at_once(conf: Path) -> None:
    for name in ("parameters_a.yml", "parameters_b.yml"):
        (conf / "test" / name).write_text("- 1")
    with pytest.raises(ConfigurationError, match=r"(?s)parameters_a\.yml: .*parameters_b\.yml: "):
        loader(conf, "test")["parameters"]


@pytest.mark.parametrize("name", ["[x]", "a [b", "x{y}z", "*?"])
def test_a_folder_may_have_brackets_and_braces_in_its_name(conf: Path, tmp_path: Path, name: str) -> None:
    moved = conf.rename(tmp_path.parent / f"{tmp_path.name} {name}")
    assert loader(moved, "test")["parameters"] == {"a": {"x": "base", "y": "test", "z": "local"}, "sizes": [1]}
    assert loader(moved, "test").find_origin("parameters", ("a", "z")) == "conf/local/parameters_mine.yml"


@pytest.mark.parametrize("value", [["as an AI"], ["007"], ["x: y"], ["[a"], ["a b", "c"], [], ["10 40"]])
def test_lists_given_from_python_are_never_touched(conf: Path, value: list[str]) -> None:
    assert loader(conf, "test", words=value, a={"y": value})["parameters"] == {
        "a": {"x": "base", "y": value, "z": "local"},
        "sizes": [1],
        "words": value,
    }
