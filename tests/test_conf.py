"""Every environment of conf/: its parameters, its catalog and its prompts are in order."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kedro.framework.context import KedroContext
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession
from kedro.validation.core import resolve_validator

import ilf_kedro.settings
from ilf_kedro.config_loader import LayeredConfigLoader
from ilf_kedro.parameters import ParameterError, check_parameters
from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
ENVIRONMENTS = sorted(
    folder.name
    for folder in CONF.iterdir()
    if folder.is_dir() and folder.name != "local" and any(folder.rglob("*.yml"))
)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value for every variable that an environment reads."""
    for file in CONF.rglob("*.yml"):
        for name in re.findall(r"oc\.env:\s*(\w+)", file.read_text(encoding="utf-8")):
            kinds = {"ROOT": "s3://bucket/prefix", "URL": "https://api.example.org/v1"}
            monkeypatch.setenv(name, kinds.get(name.rpartition("_")[2], "placeholder"))


@pytest.fixture(params=ENVIRONMENTS)
def context(
    request: pytest.FixtureRequest, variables: None, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> KedroContext:
    """The environment as `kedro run --env` sees it."""
    monkeypatch.chdir(project_root)
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    monkeypatch.setitem(ilf_kedro.settings.CONFIG_LOADER_ARGS, "default_run_env", "base")
    configure_project("ilf_kedro")
    return KedroSession.create(project_root, env=request.param, save_on_close=False).load_context()


def test_the_environments_are_found() -> None:
    assert {"base", "test", "slf5k", "openai", "cloud"} <= set(ENVIRONMENTS)


def test_parameters_arrive_as_they_are_written(context: KedroContext) -> None:
    assert isinstance(context.config_loader, LayeredConfigLoader)
    checked = check_parameters(context.config_loader).model_dump(mode="json")
    written = dict(_leaves(context.config_loader["parameters"]))
    assert len(written) > 30
    assert {**dict(_leaves(checked)), **written} == dict(_leaves(checked))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("sede", "seed"),
        ("refinement.n_refinments", "refinement.n_refinements"),
        ("finetune.training.epoch", "finetune.training.epochs"),
    ],
)
@pytest.mark.usefixtures("variables")
def test_a_wrong_key_in_an_environment_is_refused(environment: str, wrong: str, right: str, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf, ignore=shutil.ignore_patterns("local"))
    file = _write_parameter(conf / environment, wrong, 7)
    loader = LayeredConfigLoader(conf, environment, **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})
    with pytest.raises(ParameterError) as caught:
        check_parameters(loader)
    assert f"{wrong} (conf/{environment}/{file.name})" in caught.value.message
    assert caught.value.message.count("unknown key") == 1
    assert f"unknown key (found 7); the nearest right one is {right}" in caught.value.message


def _leaves(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every dotted key that has no keys below it, with its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else key)
    elif not isinstance(value, list) or not any(isinstance(each, dict) for each in value):
        yield prefix, value  # lists of keys get defaults of their own


def _write_parameter(folder: Path, key: str, value: object) -> Path:
    """Set a dotted key in the file of an environment that has its first part, or in parameters.yml."""
    *parents, name = key.split(".")
    contents = {file: yaml.safe_load(file.read_text("utf-8")) for file in sorted(folder.glob("parameters*.yml"))}
    first = (*parents, name)[0]
    file = next((file for file, content in contents.items() if first in content), folder / "parameters.yml")
    content = contents.get(file, {})
    place = content
    for parent in parents:
        place = place.setdefault(parent, {})
    place[name] = value
    file.write_text(yaml.safe_dump(content), "utf-8")
    return file


def test_every_data_set_of_every_pipeline_can_be_made(context: KedroContext) -> None:
    catalog = context.catalog
    names = {name for registered in pipelines.values() for name in registered.datasets()}
    assert len(names) > 50
    for name in sorted(names):
        if name in catalog:
            assert catalog.get(name) is not None
    free = pipelines["__default__"].inputs()
    assert [name for name in sorted(free) if name not in catalog] == []


def test_every_pipeline_runs_alone_on_what_is_kept(context: KedroContext) -> None:
    """What one pipeline makes and another reads is persisted."""
    catalog = context.catalog
    for key in ("data_prep", "refinement", "selection", "reward_model", "finetune", "reporting"):
        unknown = [name for name in sorted(pipelines[key].inputs()) if name not in catalog]
        assert unknown == [], f"{key} reads what is not in the catalog"


def test_every_validator_can_be_loaded(context: KedroContext) -> None:
    catalog = context.catalog
    for registered in pipelines.values():
        for name in registered.datasets():
            catalog.get(name)
    specs = catalog.validator_specs
    assert specs
    for spec in specs.values():
        resolve_validator(spec)


def test_every_prompt_that_a_pipeline_reads_is_in_order(context: KedroContext) -> None:
    catalog = context.catalog
    prompts = {name for name in pipelines["full"].inputs() if name.startswith("prompt.")}
    assert len(prompts) >= 10
    for name in sorted(prompts):
        assert isinstance(catalog.load(name), PromptTemplate)


def test_every_file_of_prompts_is_in_the_catalog(context: KedroContext) -> None:
    catalog = context.catalog
    for file in sorted(CONF.glob("base/prompts/*.yml")):
        assert isinstance(catalog.load(f"prompt.{file.stem}"), PromptTemplate)


def test_no_file_holds_a_secret() -> None:
    for file in CONF.rglob("*.yml"):
        if "local" not in file.relative_to(CONF).parts:
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"\b(sk-[\w-]{16,}|hf_\w{16,}|AKIA\w{12,})", text), file
