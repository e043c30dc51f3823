"""The refinement model refines wherever the catalog's refiner would, and nothing else is changed."""

from __future__ import annotations

from typing import get_args

from ilf_kedro.pipelines import finetune, refinement, rounds, selection
from ilf_kedro.pipelines.names import RefinementMethod
from ilf_kedro.pipelines.refinement_model import by_refinement_model
from ilf_kedro.pipelines.rounds.options import RoundsOptions

METHODS = get_args(RefinementMethod)


def test_the_refinement_model_refines_by_every_method_and_writes_no_feedback() -> None:
    pipelines = {
        "refinement": refinement.create_pipeline(METHODS),
        "selection": selection.create_pipeline(("verifier",), METHODS),
        "finetune": finetune.create_pipeline(["refinements", "refinement_model"], [2]),
        "rounds": rounds.create_pipeline(RoundsOptions(sizes=(2, 2))),
    }
    changed = by_refinement_model(pipelines, n_written=5, n_refined=4)
    refining = {node.name: set(node.inputs) for node in changed["refinement"].nodes}
    for method in METHODS:
        assert "refinement_model" in refining[f"refinement.sample_{method}"]
    assert "refiner" in refining["refinement.write_feedback"]
    assert "refiner" in changed["rounds"].inputs()  # it writes the feedback on later rounds
    assert [node for node in changed["rounds"].nodes if "refine" in node.name and "refiner" in node.inputs] == []
    assert "refinement_model.checkpoint" in changed["refinement"].all_outputs() & changed["rounds"].inputs()
    assert changed["finetune"] == pipelines["finetune"]
    assert changed["selection"] == pipelines["selection"]
    whole = changed["refinement"] + changed["rounds"]  # the model is trained and opened once
    assert sum("refinement_model" in node.outputs for node in whole.nodes) == 1
