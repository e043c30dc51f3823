"""Where an error arose: the node, and the catalog entry of the model whose files are at fault."""

from __future__ import annotations

from pathlib import Path

from kedro.pipeline import Node

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.language_models.local.model import LocalLanguageModel
from ilf_kedro.language_models.scripted import ScriptedLanguageModel
from ilf_kedro.wiring.hooks.outcome import OutcomeHook
from tests.support.training_records import training_record


def notes(error: Exception, **inputs: object) -> str:
    node = Node(lambda text: text, "text", "out", name="write")
    OutcomeHook().on_node_error(error, node, inputs)
    (note,) = error.__notes__
    return note


def test_the_entry_of_the_model_whose_files_are_at_fault_is_named():
    base = LocalLanguageModel(ModelSource("tiny", Path("/models/tiny"), "r"))
    trained = Checkpoint(Path("/runs/7/x"), training_record())
    inputs = {"base_model": base, "judge": ScriptedLanguageModel(), "policy": base.with_checkpoint(trained)}
    inputs |= {"finetune.a.checkpoint": trained, "prompt": "text"}

    damaged = ModelDirectoryError(Path("/models/tiny/model.safetensors"), "is cut off")
    assert str(damaged) == "/models/tiny/model.safetensors is cut off"
    assert notes(damaged, **inputs) == "(in the node write; in the catalog it is base_model, policy)"

    outer = RuntimeError("a batch failed")
    outer.__cause__ = ModelDirectoryError(trained.directory, "is damaged")
    assert notes(outer, **inputs) == "(in the node write; in the catalog it is policy, finetune.a.checkpoint)"


def test_any_other_error_names_the_node_alone():
    elsewhere = ModelDirectoryError(Path("/models/tinyer/model.safetensors"), "is cut off")
    base = LocalLanguageModel(ModelSource("tiny", Path("/models/tiny"), "r"))
    assert notes(elsewhere, base_model=base) == notes(ValueError("x"), base_model=base) == "(in the node write)"
