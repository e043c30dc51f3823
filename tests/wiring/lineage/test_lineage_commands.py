"""What the commands print, on tables whose every row is known."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.io import DataCatalog, MemoryDataset

from ilf_kedro.schemas import Targets, UserError
from ilf_kedro.wiring.lineage.command import lineage_group
from ilf_kedro.wiring.lineage.tables import LineageTables
from ilf_kedro.wiring.parameters import Parameters
from tests.support.example_tables import comparisons, examples
from tests.wiring.test_parameter_check import RIGHT

MODEL = "finetune.references.n2"
TARGETS = pd.DataFrame({"example_id": ["train-0", "train-1"], "post": "p", "target": ["human 0", "human 1"]})
TABLES = {
    "examples.train": examples(3, annotator=["anna", "ben", "ben"]),
    "comparisons.train": comparisons([("a", "b", "a")], annotator="ben"),
    f"{MODEL}.targets": Targets.validate(TARGETS),
    f"{MODEL}.outputs": pd.DataFrame({"example_id": ["test-0"], "text": ["what\nit wrote"]}),
    f"{MODEL}.checkpoint": "weights",
}


@pytest.fixture(autouse=True)
def _tables(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = DataCatalog({name: MemoryDataset(table) for name, table in TABLES.items()})
    finetune = {"arms": ["references"]}
    parameters = Parameters.model_validate({**RIGHT, "train_sizes": [2], "finetune": finetune})
    tables = LineageTables(catalog, parameters)
    monkeypatch.setattr(LineageTables, "read", lambda *_: tables)


def lines(*arguments: str) -> list[str]:
    done = CliRunner().invoke(lineage_group, arguments, obj=None, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output.splitlines()


def test_an_output_is_traced_to_rows_feedback_and_annotator(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    assert lines("output", MODEL, "test-0", "--rows", "1", "--to", str(file)) == [
        "output for test-0: what it wrote",
        f"checkpoint: {MODEL}.checkpoint",
        "finetuned on 2 rows, 2 with feedback by 2 annotators",
        "",
        "train-0: human 0",
        "  written by: annotator",
        "  feedback (anna): feedback 0",
        "",
        f"{file}: all 2 training rows",
    ]
    assert pd.read_csv(file)["annotator"].tolist() == ["anna", "ben"]


def test_an_annotator_is_traced_to_rows_and_models() -> None:
    assert lines("annotator", "ben") == [
        "examples.train: 2 rows",
        "comparisons.train: 1 row",
        f"{MODEL}: 1 of 2 training rows",
    ]


def test_a_run_without_an_annotator_is_planned() -> None:
    assert lines("without", "ben", "--env", "mine") == [
        "examples.train: 2 rows left out",
        "comparisons.train: 1 row left out",
        f"{MODEL}: trained anew, 1 of its 2 rows are theirs",
        "train sizes 2 are more than what is left, and get all of it",
        "",
        "kedro run --env mine --params 'data_prep.without_annotators=[ben]'",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["output", "finetune.reference.n2"], "expected 'finetune.references.n2', perhaps"),
        (["output", MODEL, "test-9"], "wrote nothing for the example 'test-9'; expected 'test-0'"),
        (["annotator", "Anne"], "no row is of the annotator 'Anne'; expected 'anna', perhaps"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(lineage_group, arguments, obj=None, catch_exceptions=False)
