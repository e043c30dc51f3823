"""The selection pipeline as Kedro runs it, on scripted scores."""

from __future__ import annotations

from example_tables import YES_NO, examples, refinements
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.pipelines.selection import create_pipeline


def test_every_scorer_chooses_once_per_example_and_method() -> None:
    texts = {"train-0": ["a", "b b"], "train-1": ["c c c", "d"]}
    model = ScriptedLanguageModel(weigh=lambda prompt, choice: 2.0 if prompt.text[-1] in "ad" else 1.0)
    inputs = {
        "refinements.refinement_with_feedback": refinements(texts),
        "refinements.refinement_without_feedback": refinements(texts, "refinement_without_feedback"),
        "examples.train": examples(2),
        "instruct_rm": model,
        "base_model": model,
        "params:seed": 0,
        **{f"prompt.instruct_rm_{number}": YES_NO for number in range(1, 6)},
    }
    catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()})
    catalog["selections"] = MemoryDataset()
    SequentialRunner().run(create_pipeline(), catalog)
    selections = catalog["selections"].load()
    assert len(selections) == 2 * 2 * 8
    longest = selections[selections["scorer"] == "longest"].set_index(["method", "example_id"])["text"]
    assert longest["refinement_with_feedback", "train-0"] == "b b"
    assert longest["refinement_without_feedback", "train-1"] == "c c c"
    # the weight of both answers is equal, so every InstructRM score ties: the earlier sample is chosen
    ensemble = selections[selections["scorer"] == "instruct_rm_ensemble"]
    assert (ensemble["sample_index"] == 0).all()
    assert (ensemble["score"] == 0.5).all()
