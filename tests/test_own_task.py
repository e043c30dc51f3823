"""docs/own_task.md is true: its walk is walked, block by block, and its mappings are taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ilf_kedro.wiring.parameter_check import find_faults
from ilf_kedro.wiring.parameters import Parameters
from tests.support.own_task_page import formats, walk
from tests.support.whole_project import ROOT, WholeProject
from tests.test_shell_blocks import as_run_by_the_test
from tests.wiring.test_parameter_check import RIGHT


def test_the_walk_has_data_a_task_a_source_and_commands() -> None:
    kinds = [block.language for block in walk()]
    assert kinds.count("yaml") >= 3
    assert "kedro run" in [block.code.splitlines()[0] for block in walk() if block.language == "sh"]
    assert all(block.file for block in walk() if block.language == "yaml")


@pytest.mark.parametrize("name", sorted(formats()))
def test_every_mapping_on_the_page_is_one_that_the_project_takes(name: str) -> None:
    whole = Parameters.model_validate(RIGHT).model_dump(mode="json")
    whole["finetune"] |= {"arms": None}
    assert find_faults(whole | yaml.safe_load(formats()[name])) == []


@pytest.mark.slow
def test_the_walk_leads_from_a_folder_of_files_to_a_report(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project", KEDRO_ENV="test")
    printed = ""
    for block in walk():
        if block.file:
            (project.path / block.file).write_text(block.code)
            continue
        script = f'set -eu\nkedro() {{ "{sys.executable}" -m kedro "$@"; }}\n{as_run_by_the_test(block.code)}'
        command, settings = ["bash", "-c", script], {"cwd": project.path, "env": project.environment}
        done = subprocess.run(command, **settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block.code}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        printed += done.stdout
    assert printed.splitlines()[-1].endswith("report.html")
    page = (project.path / printed.splitlines()[-1]).read_text("utf-8")
    assert "There is no reward model: the data have no comparisons" in page
    examples = project.tables()["03_primary/examples/train.parquet"]
    assert len(examples) == 6
    assert examples["request"].str.startswith("Translate into English: ").all()
    assert examples["request"][0] in printed
    assert examples["example_id"].str.fullmatch(r"0\d\d").all()


def test_readme_begins_its_use_with_the_users_own_data() -> None:
    headings = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if line.startswith("## Use it")]
    assert headings[0] == "## Use it on your own data"
