"""Word removal as a user runs it: the whole of it with random weights, and small enough to learn in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.whole_project import WholeProject

pytestmark = pytest.mark.slow

NOBODY_LEARNS: dict[str, Any] = {
    "train_sizes": [4],
    "refinement": {"sampling": {"max_new_tokens": 12}},
    "finetune": {"sampling": {"temperature": 1.0, "max_new_tokens": 12}, "training": {"epochs": 1}, "per_size": []},
    "rounds": {"sizes": [4, 4]},
    "reporting": {"bootstrap_resamples": 100},
}
FEW = {"annotator": {"annotator": 0, "n_objections": 6}}
SMALL: dict[str, Any] = {
    "also": [],
    "train_sizes": [60],
    "rounds": {"sizes": [30, 30]},
    "refinement": {"sampling": {"max_new_tokens": 40}},
    "finetune": {
        "arms": ["refinements", "refinements_shuffled_feedback", "refinements_no_feedback"],
        "sampling": {"max_new_tokens": 40},
        "training": {"epochs": 3, "batch_size": 4, "micro_batch_size": 4},
        "per_size": [{"train_size": 160, "epochs": 2}],
    },
}
CONTROLS = ("refinements_shuffled_feedback", "refinements_no_feedback")


def test_the_whole_environment_runs_with_every_arm_both_controls_and_two_rounds(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project")
    rows = {"n_notes": 8, "n_test": 6, "n_written": 6, "most_words": 4, "seed": 0}
    project.write_local("globals.yml", {**FEW, "rows": rows})
    project.write_local("parameters.yml", NOBODY_LEARNS)
    project.write_local("catalog_language_models.yml", {"base_model": tiny_model()})
    project.kedro("run", "--env", "word_removal")
    tables = project.tables("data/word_removal")
    rates = tables["08_reporting/pass_rates.parquet"].set_index(["writer", "chosen_by", "metric"])["value"]
    arms = ("refinements", *CONTROLS, "initial_outputs", "references")
    for model in ("finetune.base", *(f"finetune.{arm}.n4" for arm in arms)):
        assert rates[model, "any", "pass@1"] == 0
    assert rates["reference", "any", "pass@1"] == 1
    rounds = tables["08_reporting/rounds_metrics.parquet"].set_index(["model", "metric"])["value"]
    assert rounds["rounds.r1.continue", "pass_rate"] == 0
    assert ("rounds.r1.continue", "pass_rate_minus_round_before") in rounds
    learned = tables["05_model_input/refinement_model_targets.parquet"]["example_id"]
    assert learned.tolist() == [f"written-{number}" for number in range(6)]


@pytest.mark.timeout(1800)
def test_the_policy_learns_from_feedback_and_from_no_control(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project", OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
    rows = {"n_notes": 60, "n_test": 40, "n_written": 160, "most_words": 4, "seed": 0}
    project.write_local("globals.yml", {**FEW, "rows": rows})
    project.write_local("parameters.yml", SMALL)
    outputs = [f"finetune.{arm}.n60.outputs" for arm in ("refinements", *CONTROLS)]
    project.kedro("run", "--env", "word_removal", "--to-outputs", ",".join(outputs))
    tables = project.tables("data/word_removal")
    right = tables["03_primary/examples/test.parquet"].set_index("example_id")["reference"]
    intervals = {}
    for arm in ("refinements", *CONTROLS):
        said = tables[f"07_model_output/finetune/{arm}.n60_outputs.parquet"].set_index("example_id")["text"]
        intervals[arm] = wilson(int((said == right[said.index]).sum()), len(said))
    assert intervals["refinements"][0] > max(intervals[control][1] for control in CONTROLS), intervals


def tiny_model() -> dict[str, object]:
    """Return the catalog entry of a model of random weights."""
    entry = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "local", "format": "plain"}
    return {**entry, "model": "data/06_models/tiny-random-llama", "dtype": "float32"}


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval by Wilson's formula, written out."""
    centre = (hits / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (hits / n * (1 - hits / n) / n + z**2 / (4 * n**2)) ** 0.5
    return centre - half, centre + half
