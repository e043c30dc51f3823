"""What stands in examples/ runs: the loop as a plain library, a scorer and a backend of one's own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from kedro.io import DataCatalog

from ilf_kedro.language_models import LocalLanguageModel, SamplingOptions, ScriptedLanguageModel, load_model_source
from ilf_kedro.language_models.local.options import LocalOptions
from ilf_kedro.prompting import Prompt
from ilf_kedro.training import TrainingOptions
from tests.support.example_tables import examples, refinements

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def feedback(tmp_path: Path) -> Path:
    rows = [
        {"input": f"Question {i}?", "output": "I do not know", "feedback": "Say more", "reference": f"Answer {i}."}
        for i in range(8)
    ]
    file = tmp_path / "feedback.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return file


def test_one_experiment_goes_from_a_file_to_win_rates(
    feedback: Path, tiny_model_directory: Path, tmp_path: Path
) -> None:
    experiment = load("one_experiment")
    source = load_model_source("base", tiny_model_directory, format="chat", dtype="float32")
    base = LocalLanguageModel(source, options=LocalOptions(least_covered=0))  # a random model covers no answer
    options = {"sampling": SamplingOptions(max_new_tokens=6), "training": TrainingOptions(batch_size=3)}
    table = experiment.run(feedback, base, tmp_path / "work", **options)
    assert set(table["model"]) == {"base", "finetuned"}
    assert table["n"].tolist() == [2, 2]
    assert table["win_rate"].between(0, 1).all()
    again = experiment.run(feedback, base, tmp_path / "work", **options)
    assert again.equals(table)


def test_a_file_with_faults_is_refused_by_their_names(tmp_path: Path) -> None:
    file = tmp_path / "feedback.jsonl"
    file.write_text("\n".join(json.dumps({"input": f"Question {i}?"}) for i in range(4)), "utf-8")
    with pytest.raises(SystemExit, match="feedback"):
        load("one_experiment").run(
            file, ScriptedLanguageModel(), tmp_path, sampling=SamplingOptions(), training=TrainingOptions()
        )


def test_the_experiment_knows_no_kedro() -> None:
    code = "import sys; sys.path.insert(0, 'examples'); import one_experiment; assert 'kedro' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=EXAMPLES.parent)


def test_an_own_scorer_is_registered_where_it_stands() -> None:
    table = refinements({"train-0": ["A text.", "A question?"], "train-1": ["A text.", "A question?"]})
    rows = examples(2, feedback=["Add the question.", "Too long."])
    assert load("own_scorer").best(table, rows) == ["A question?", "A text."]


def test_an_own_backend_answers_from_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    entry = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "own_backend.UpperCaseEntry", "shout": 2}
    model = DataCatalog.from_config({"refiner": entry}).load("refiner")
    ((completion,),) = model.generate([Prompt("Title\n\nhello")], range(1), SamplingOptions(), seed=3)
    assert (completion.text, completion.seed) == ("HELLO!!", 3)
