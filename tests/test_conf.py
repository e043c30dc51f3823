"""Every environment of conf/: its parameters, its catalog and its prompts are in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kedro.framework.context import KedroContext
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession
from kedro.validation.core import resolve_validator

import ilf_kedro.settings
from ilf_kedro.config_loader import LayeredConfigLoader
from ilf_kedro.options import Parameters
from ilf_kedro.parameters import check_parameters
from ilf_kedro.prompting import PromptTemplate

CONF = Path(__file__).parents[1] / "conf"
ENVIRONMENTS = sorted(
    folder.name
    for folder in CONF.iterdir()
    if folder.is_dir() and folder.name != "local" and any(folder.rglob("*.yml"))
)


@pytest.fixture(params=ENVIRONMENTS)
def context(request: pytest.FixtureRequest, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> KedroContext:
    """The environment as `kedro run --env` sees it, with a value for every variable that it reads."""
    for file in CONF.rglob("*.yml"):
        for name in re.findall(r"oc\.env:\s*(\w+)", file.read_text(encoding="utf-8")):
            kinds = {"ROOT": "s3://bucket/prefix", "URL": "https://api.example.org/v1"}
            monkeypatch.setenv(name, kinds.get(name.rpartition("_")[2], "placeholder"))
    monkeypatch.chdir(project_root)
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    monkeypatch.setitem(ilf_kedro.settings.CONFIG_LOADER_ARGS, "default_run_env", "base")
    configure_project("ilf_kedro")
    return KedroSession.create(project_root, env=request.param, save_on_close=False).load_context()


def test_the_environments_are_found() -> None:
    assert {"base", "test"} <= set(ENVIRONMENTS)


def test_parameters_are_right(context: KedroContext) -> None:
    assert isinstance(context.config_loader, LayeredConfigLoader)
    checked = check_parameters(context.config_loader)
    assert check_parameters(context.config_loader) == Parameters.model_validate(checked.model_dump())


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
            assert not re.search(r"\b(sk-\w{16,}|hf_\w{16,}|AKIA\w{12,})", text), file
