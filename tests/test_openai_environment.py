"""`--env openai`: the project's own files against a server, as a user runs it, and where the key may not be."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ilf_kedro.schemas.run_record import RunRecord
from tests.support.llama_server import llama_server
from tests.support.misbehaving_server import KEY, MisbehavingServer
from tests.support.whole_project import WholeProject

ROOT = "data/openai"
TINY = {
    "type": "ilf_kedro.datasets.LanguageModelDataset",
    "backend": "local",
    "name": "tiny-random-llama",
    "model": "data/06_models/tiny-random-llama",
    "format": "chat",
    "dtype": "float32",
    "cache": "data/06_models/completions.sqlite",
    "options": {"least_covered": 0},
}
SMALL = {
    "train_sizes": [2],
    "refinement": {"n_refinements": 2, "sampling": {"max_new_tokens": 8}},
    "finetune": {"best_of_n": 2, "sampling": {"max_new_tokens": 8}, "training": {"batch_size": 2}},
    "reward_model": {"train_size": 2},
    "reporting": {"bootstrap_resamples": 100, "n_judged": 2},
}
TABLES = {
    "05_model_input/selections.parquet",
    "04_feature/refinements/refinement_with_feedback.parquet",
}


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    server = MisbehavingServer()
    words = ("Yes", " No", "True", " False", "A", " B")
    server.top = {word: math.log(0.9 / 2 ** (place + 1)) for place, word in enumerate(words)}
    yield server
    server.close()


@pytest.fixture
def project(server: MisbehavingServer, tmp_path: Path) -> WholeProject:
    """A copy of the project whose key stands in conf/local/credentials.yml alone."""
    where = {"ILF_API_BASE_URL": server.base_url, "ILF_API_MODEL": "fake-1", "OPENAI_API_KEY": ""}
    project = WholeProject.create(tmp_path / "project", **where)
    local = {
        "credentials.yml": {"openai": {"api_key": KEY}},
        "globals.yml": {"api_budget": 5.0, "api_prices": {"fake-1": {"input": 1.0, "output": 2.0}}},
        "catalog_language_models.yml": {"base_model": TINY, "reward_base_model": TINY},
        "parameters.yml": SMALL,
    }
    for name, content in local.items():
        (project.path / "conf" / "local" / name).write_text(yaml.safe_dump(content), "utf-8")
    return project


def holders_of_the_key(project: WholeProject) -> set[str]:
    """Return the files of the project that hold the key."""
    files = [path for path in project.path.rglob("*") if path.is_file() and "tiny-random" not in str(path)]
    return {str(path.relative_to(project.path)) for path in files if KEY.encode() in path.read_bytes()}


def last_record(project: WholeProject) -> RunRecord:
    (path,) = project.latest("08_reporting/run_record.json/*/*.json", ROOT).values()
    return RunRecord.model_validate_json(path.read_bytes())


@pytest.mark.slow
def test_a_key_in_conf_local_alone_suffices_and_stays_there(project: WholeProject, server: MisbehavingServer) -> None:
    printed = project.kedro("run", "--env", "openai", "--pipelines", "data_prep,refinement,selection").stdout
    assert server.keys == {f"Bearer {KEY}"}
    assert {body["model"] for body in server.bodies} == {"fake-1"}
    tables = project.tables(ROOT)
    assert tables.keys() >= TABLES, sorted(tables)
    assert len(tables["05_model_input/selections.parquet"])
    record = last_record(project)
    assert record.outcome == "succeeded"
    spent = {model.dataset: spending for model, spending in record.spending}
    assert spent.keys() == {"refiner", "instruct_rm"}
    assert sum(each.requests for each in spent.values()) == len(server.bodies)
    assert sum(each.input_tokens for each in spent.values()) == server.billed[0]
    usd = sum(each.usd or 0 for each in spent.values())
    assert usd == pytest.approx((server.billed[0] + 2 * server.billed[1]) / 1e6)
    assert {each.budget for each in spent.values()} == {5.0}

    server.script = lambda body, attempt: "401"  # whose message repeats the key
    changed = ("--params", "refinement.n_refinements=3")
    refused = project.kedro("run", "--env", "openai", "--pipelines", "refinement", *changed, check=False)
    assert refused.returncode != 0
    assert "conf/local/credentials.yml" in refused.stdout
    assert last_record(project).outcome == "failed"

    assert KEY not in printed + refused.stdout
    assert holders_of_the_key(project) == {"conf/local/credentials.yml"}


@pytest.mark.slow
def test_all_roles_of_a_run_share_one_budget(project: WholeProject, server: MisbehavingServer) -> None:
    layer = project.path / "conf" / "local" / "globals.yml"
    prices = {"fake-1": {"input": 1000.0, "output": 2000.0}}
    layer.write_text(yaml.safe_dump({"api_budget": 6.0, "api_prices": prices}), "utf-8")
    stopped = project.kedro("run", "--env", "openai", "--pipelines", "data_prep,refinement,selection", check=False)
    billed = server.billed[0] / 1000 + server.billed[1] / 500
    assert stopped.returncode != 0
    assert "budget of $6.0000 does not suffice" in stopped.stdout
    assert "Traceback" not in stopped.stdout
    record = last_record(project)
    assert len(record.spending) == 2, "the refiner spent, then the instruct_rm met what was left"
    assert sum(spending.usd or 0 for _, spending in record.spending) == pytest.approx(billed)
    assert 1 < billed <= 6


@pytest.mark.slow
def test_the_whole_loop_with_a_report_without_the_key(project: WholeProject, server: MisbehavingServer) -> None:
    printed = project.kedro("run", "--env", "openai").stdout
    (report,) = project.latest("08_reporting/report.html/*/*.html", ROOT).values()
    assert "Spent on APIs" in report.read_text("utf-8")
    assert {model.dataset for model, _ in last_record(project).spending} == {"refiner", "instruct_rm", "judge"}
    assert KEY not in printed
    assert holders_of_the_key(project) == {"conf/local/credentials.yml"}


@pytest.mark.slow
def test_refinement_and_selection_against_a_real_server(project: WholeProject) -> None:
    with llama_server() as address:
        project.variables = {**project.variables, "ILF_API_BASE_URL": address, "ILF_API_MODEL": "smollm2"}
        (project.path / "conf" / "local" / "globals.yml").unlink()
        project.kedro("run", "--env", "openai", "--pipelines", "data_prep,refinement,selection")
    tables = project.tables(ROOT)
    refinements = tables["04_feature/refinements/refinement_with_feedback.parquet"]
    assert refinements.groupby("example_id").size().tolist() == [2, 2]
    scores = tables["04_feature/scores.parquet"]
    of_ensemble = scores[scores["scorer"] == "instruct_rm_ensemble"]["score"]
    assert len(of_ensemble) >= 4
    assert of_ensemble.between(0, 1).all()
    assert of_ensemble.nunique() > 1
    assert pd.unique(tables["05_model_input/selections.parquet"]["example_id"]).size == 2
    spending = {model.dataset: spent for model, spent in last_record(project).spending}
    assert min(spending["refiner"].output_tokens, spending["instruct_rm"].input_tokens) > 0
    assert spending["refiner"].usd is None, "no price was given"


@pytest.mark.slow
def test_a_forecast_asks_nothing_and_is_what_the_run_asks(project: WholeProject, server: MisbehavingServer) -> None:
    words = ("--env", "openai", "--pipelines", "data_prep,refinement,selection")
    told = project.kedro("ilf-forecast", *words).stdout
    assert server.bodies == []
    assert not (project.path / "data" / "openai").exists(), "nothing is saved"
    requests, usd = total(told)
    project.kedro("run", *words)
    assert requests == len(server.bodies)
    assert usd >= (server.billed[0] + 2 * server.billed[1]) / 1e6
    again = project.kedro("ilf-forecast", *words).stdout
    assert total(again) == (0, 0)

    everything = project.kedro("ilf-forecast", "--env", "openai").stdout
    assert "judge (fake-1)" in everything
    assert "Traceback" not in everything
    before, billed = len(server.bodies), server.billed[0] + 2 * server.billed[1]
    project.kedro("run", "--env", "openai")
    requests, usd = total(everything)
    assert 0.7 < requests / (len(server.bodies) - before) < 1.5
    assert 0.7 < usd * 1e6 / (server.billed[0] + 2 * server.billed[1] - billed) < 3, "the server counts words"
    assert total(project.kedro("ilf-forecast", "--env", "openai").stdout) == (0, 0)
    unknown = project.kedro("ilf-forecast", "--pipelines", "refinment", check=False)
    assert unknown.returncode != 0
    assert "refinement" in unknown.stdout


def total(told: str) -> tuple[int, float]:
    """Return the requests and the price of the line that sums up."""
    (line,) = [line for line in told.splitlines() if line.startswith("In all: ")]
    requests, usd = re.findall(r"In all: ([\d,]+) requests.*at most about \$([\d.]+)", line)[0]
    return int(requests.replace(",", "")), float(usd)
