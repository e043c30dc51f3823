"""A fault that the user can remove ends a command with its message alone, as the command line prints it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ilf_kedro.pipelines.reward_model.nodes import train_reward_model
from ilf_kedro.pipelines.reward_model.options import RewardModelOptions
from ilf_kedro.schemas import UserError
from tests.support.whole_project import WholeProject

NODES = ("--nodes", "data_prep.map_splits,data_prep.nest_subsets")  # no model is needed


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> WholeProject:
    return WholeProject.create(tmp_path_factory.mktemp("user_errors") / "project")


def refused(project: WholeProject, *arguments: str) -> list[str]:
    """Run a command that must fail without any traceback, and return the lines that it printed."""
    done = project.kedro("run", *arguments, check=False)
    assert done.returncode == 1, done.stdout
    return lines_without_traceback(done.stdout)


def lines_without_traceback(printed: str) -> list[str]:
    assert "╭" not in printed, printed
    assert "Traceback" not in printed, printed
    return printed.splitlines()


def test_train_sizes_that_are_too_large(project: WholeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    result = project.kedro_run_here(monkeypatch, *NODES, "--params", "train_sizes=[5000]")
    assert result.exit_code == 1, result.output
    message, node = lines_without_traceback(result.output)[-2:]
    assert message.startswith("Error: train_sizes: found 5000, but the train split has ")
    assert node == "(in the node data_prep.nest_subsets)"


def test_more_comparisons_than_there_are() -> None:
    comparisons = pd.DataFrame({"example_id": ["a", "b", "c"]})
    options = RewardModelOptions(train_size=4)
    with pytest.raises(UserError, match=r"reward_model\.train_size is 4, but the train split has 3 comparisons"):
        train_reward_model(None, comparisons, None, None, options, 0, None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_one_row_that_is_not_utf8_beside_another_fault_of_another_file(project: WholeProject) -> None:
    folder = project.path / "data" / "01_raw" / "slf5k_sample"
    for name, line in {"train": b'{"id": "caf\xe9", "post": "x"}\n', "test": b"{broken\n"}.items():
        with (folder / f"{name}.jsonl").open("ab") as file:
            file.write(line)
    printed = "\n".join(refused(project, *NODES))
    assert "(row): found the byte 0xe9, which is not UTF-8; expected UTF-8 text" in printed
    assert "(row): found broken JSON" in printed
    project.kedro("run", *NODES, "--params", "data_prep.on_invalid=quarantine")
    rejected = project.tables("data")["02_intermediate/rejected_rows.parquet"]
    assert rejected["split"].tolist() == ["train", "test"]
    assert [Path(file).name for file in rejected["file"]] == ["train.jsonl", "test.jsonl"]


@pytest.mark.slow
def test_the_real_data_without_a_network_fail_at_once_with_what_to_do(tmp_path: Path) -> None:
    project = WholeProject.create(
        tmp_path / "project", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path / "hub"), HF_HUB_OFFLINE="0"
    )
    done = project.kedro("run", "--env", "slf5k", check=False)
    assert done.returncode != 0
    shown = " ".join(done.stdout.split())
    assert "SLF5K@dcf9bf7a1f88/train.jsonl is not in the local cache" in shown
    assert "conf/local/catalog.yml" in shown
    assert "Traceback" not in done.stdout
