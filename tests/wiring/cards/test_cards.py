"""Cards of tables whose every row is known; what is copied and what is only said to be sent."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from huggingface_hub import ModelCard
from kedro.io import DataCatalog, MemoryDataset

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, TrainingRecord
from ilf_kedro.schemas import ModelMetrics, Targets, TextStatistics, UserError
from ilf_kedro.wiring.cards.command import card_group
from ilf_kedro.wiring.lineage.tables import LineageTables
from ilf_kedro.wiring.parameters import Parameters
from tests.support.example_tables import examples
from tests.support.report_inputs import FakeRun
from tests.wiring.test_parameter_check import RIGHT

MODEL = "finetune.references.n2"
MADE = {"content_hash": "h", "kind": "lora", "base_model": "tiny", "base_revision": "r1", "method": "supervised"}
COUNTS = {"n_examples": 2, "n_steps": 1, "n_truncated": 0, "seed": 7, "dtype": "float32", "final_loss": 1, "seconds": 1}


def estimate(model: str, value: float) -> dict[str, object]:
    bounds = {"standard_error": 0.1, "lower": value - 0.2, "upper": value + 0.2, "note": None}
    return {"model": model, "metric": "nll_per_token", "n": 12, "value": value, **bounds}


@pytest.fixture(autouse=True)
def _tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "adapter_model.safetensors").write_bytes(b"weights")
    (weights / "_COMPLETE").write_bytes(b"")
    run = FakeRun()
    targets = {"example_id": ["train-0", "train-1"], "post": "p", "target": ["human 0", "human 1"]}
    tables = {
        "examples.train": examples(3, annotator=["anna", "ben", None]),
        "offer": run.offer(),
        "run_record": run.run_record(),
        "model_metrics": ModelMetrics.from_rows([estimate(MODEL, 2.5), estimate("finetune.base", 3.0)]),
        f"{MODEL}.targets": Targets.validate(pd.DataFrame(targets)),
        f"{MODEL}.checkpoint": Checkpoint(weights, TrainingRecord.model_validate({**MADE, **COUNTS})),
        "text_statistics": TextStatistics.validate(run.text_statistics()),
        "rejected_rows": run.rejected_rows(),
        "near_duplicates": pd.DataFrame({"similarity": [0.9]}),
    }
    catalog = DataCatalog({name: MemoryDataset(table, copy_mode="assign") for name, table in tables.items()})
    parameters = Parameters.model_validate({**RIGHT, "train_sizes": [2], "finetune": {"arms": ["references"]}})
    monkeypatch.setattr(LineageTables, "read", lambda *_: LineageTables(catalog, parameters))


def run(*arguments: str) -> str:
    done = CliRunner().invoke(card_group, arguments, obj=None, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_a_models_card_says_what_it_learned_from_and_its_metrics_and_no_name(tmp_path: Path) -> None:
    run("model", MODEL, str(tmp_path / "new"))
    card = ModelCard.load(tmp_path / "new" / "README.md")
    assert card.data.library_name == "peft"
    assert "tiny, finetuned (supervised) on 2 references" in card.text
    assert "| rows with a person's feedback | 2, by 2 annotators |" in card.text
    assert "| 2.500 | 2.300 to 2.700 | 3.000 |" in card.text
    assert "anna" not in card.content
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["README.md", "adapter_model.safetensors"]


def test_nothing_is_sent_unless_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("there is no network")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    said = run("model", MODEL, str(tmp_path / "one"), "--push", "me/mine")
    assert "adapter_model.safetensors: 7 bytes" in said
    assert "Nothing was sent. With --upload this goes to me/mine." in said
    with pytest.raises(UserError, match=r"the hub did not take .* as me/mine: there is no network"):
        run("model", MODEL, str(tmp_path / "two"), "--push", "me/mine", "--upload")


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty; name a new folder"):
        run("model", MODEL, str(tmp_path))


def test_a_data_card_counts_what_there_is(tmp_path: Path) -> None:
    run("data", str(tmp_path / "new"))
    text = (tmp_path / "new" / "README.md").read_text("utf-8")
    assert "- 1 pair of inputs in different splits is nearly the same" in text
    assert "| split | examples | inputs |" in text
    assert (tmp_path / "new" / "README.md").parent.stat()
    assert len(list((tmp_path / "new").iterdir())) == 1
