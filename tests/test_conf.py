"""Every environment of conf/: its parameters, its catalog and its prompts are in order."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.validation.core import resolve_validator

from ilf_kedro.prompting import PromptTemplate
from ilf_kedro.settings import CONFIG_LOADER_ARGS
from ilf_kedro.wiring.config_loader import LayeredConfigLoader
from ilf_kedro.wiring.hooks import PromptHook
from ilf_kedro.wiring.parameter_check import ParameterError, check_parameters
from tests.support.kedro_setup import set_up

CONF = Path(__file__).parents[1] / "conf"
ENVIRONMENTS = sorted(
    folder.name
    for folder in CONF.iterdir()
    if folder.is_dir() and folder.name != "local" and any(folder.rglob("*.yml"))
)

# The parts of the main job that an environment's data lack the texts for; no other environment lacks any.
LEFT_OUT = {
    "code": {"reward_model"},
    "code_mbpp": {"reward_model"},
    "ultrafeedback": {"reward_model"},
    "more_posts": {"reward_model", "refinement", "selection"},
    "word_removal": {"reward_model"},
}

# The environment that has prompts for its own default pipeline alone.
FEW_PROMPTS = {"word_removal"}


@pytest.fixture(scope="module")
def variables() -> Iterator[pytest.MonkeyPatch]:
    """A value for every variable that an environment reads and that has no default."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for file in CONF.rglob("*.yml"):
            for name in re.findall(r"oc\.env:\s*(\w+)\s*}", file.read_text(encoding="utf-8")):
                kinds = {"ROOT": "s3://bucket/prefix", "URL": "https://api.example.org/v1"}
                monkeypatch.setenv(name, kinds.get(name.rpartition("_")[2], "placeholder"))
        yield monkeypatch


@dataclass(frozen=True)
class Environment:
    """An environment as `kedro run --env` sees it."""

    context: KedroContext
    catalog: DataCatalog
    pipelines: dict[str, Pipeline]


@pytest.fixture(params=ENVIRONMENTS, scope="module")
def environment(request: pytest.FixtureRequest, variables: pytest.MonkeyPatch, project_root: Path) -> Environment:
    variables.chdir(project_root)
    set_up(variables, users_layer="base")
    context = KedroSession.create(project_root, env=request.param, save_on_close=False).load_context()
    return Environment(context, context.catalog, dict(pipelines))


def test_the_environments_are_found() -> None:
    assert {"base", "test", "slf5k", "openai", "cloud"} <= set(ENVIRONMENTS)


def test_parameters_arrive_as_they_are_written(environment: Environment) -> None:
    loader = environment.context.config_loader
    assert isinstance(loader, LayeredConfigLoader)
    checked = check_parameters(loader).model_dump(mode="json")
    written = dict(_leaves(loader["parameters"]))
    assert len(written) > 30
    assert {**dict(_leaves(checked)), **written} == dict(_leaves(checked))


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("sede", "seed"),
        ("refinement.n_refinments", "refinement.n_refinements"),
        ("finetune.training.epoch", "finetune.training.epochs"),
    ],
)
@pytest.mark.usefixtures("variables")
def test_a_wrong_key_in_an_environment_is_refused(name: str, wrong: str, right: str, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf, ignore=shutil.ignore_patterns("local"))
    file = _write_parameter(conf / name, wrong, 7)
    loader = LayeredConfigLoader(conf, name, **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})
    with pytest.raises(ParameterError) as caught:
        check_parameters(loader)
    assert f"{wrong} (conf/{name}/{file.name})" in caught.value.message
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


def test_every_data_set_of_every_pipeline_can_be_made(environment: Environment) -> None:
    catalog = environment.catalog
    names = {name for registered in environment.pipelines.values() for name in registered.datasets()}
    assert len(names) > 50
    for name in sorted(names):
        if name in catalog:
            assert catalog.get(name) is not None
    free = environment.pipelines["__default__"].inputs()
    assert [name for name in sorted(free) if name not in catalog] == []


def test_every_pipeline_runs_alone_on_what_is_kept(environment: Environment) -> None:
    """What one pipeline makes and another reads is persisted."""
    parts = {"data_prep", "refinement", "selection", "reward_model", "finetune", "reporting"}
    registered = parts & set(environment.pipelines)
    assert parts - registered == LEFT_OUT.get(environment.context.env or "", set())
    for key in sorted(registered):
        inputs = sorted(environment.pipelines[key].inputs())
        unknown = [name for name in inputs if name not in environment.catalog]
        assert unknown == [], f"{key} reads what is not in the catalog"


def test_every_validator_can_be_loaded(environment: Environment) -> None:
    for registered in environment.pipelines.values():
        for name in registered.datasets():
            environment.catalog.get(name)
    specs = environment.catalog.validator_specs
    assert specs
    for spec in specs.values():
        resolve_validator(spec)


def test_every_prompt_that_a_pipeline_reads_is_in_order(environment: Environment) -> None:
    prompts = {name for name in _all_that_it_runs(environment).inputs() if name.startswith("prompt.")}
    few = environment.context.env in FEW_PROMPTS or "refinement" in LEFT_OUT.get(environment.context.env or "", set())
    assert len(prompts) >= (2 if few else 10)
    for name in sorted(prompts):
        assert isinstance(environment.catalog.load(name), PromptTemplate)


def test_every_prompt_fits_the_task(environment: Environment) -> None:
    PromptHook().before_pipeline_run(_all_that_it_runs(environment), environment.catalog)


def _all_that_it_runs(environment: Environment) -> Pipeline:
    return environment.pipelines["__default__" if environment.context.env in FEW_PROMPTS else "full"]


def test_every_file_of_prompts_is_in_the_catalog(environment: Environment) -> None:
    folder = Path(environment.context.config_loader["globals"]["prompts"])
    files = sorted(folder.glob("*.yml"))
    assert len(files) >= (3 if environment.context.env in FEW_PROMPTS else 10)
    for file in files:
        assert isinstance(environment.catalog.load(f"prompt.{file.stem}"), PromptTemplate)


def test_no_file_holds_a_secret() -> None:
    for file in CONF.rglob("*.yml"):
        if "local" not in file.relative_to(CONF).parts:
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"\b(sk-[\w-]{16,}|hf_\w{16,}|AKIA\w{12,})", text), file
