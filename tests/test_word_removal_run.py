"""The loop as a user runs it: quickly with a model of random weights, and small enough to learn in minutes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.support.whole_project import WholeProject

pytestmark = pytest.mark.slow

FEW_AT_A_TIME = {"batch_size": 4, "micro_batch_size": 4}  # twice the steps of the same work
SMALL = {
    "word_removal": {
        "annotator": {"n_objections": 6},
        "notes": {"n_demonstrations": 96, "n_train": 72, "n_test": 80, "most_words": 4},
        "refiner": {"n_written": 240, "most_words": 4, "training": {**FEW_AT_A_TIME, "epochs": 3}},
        "refinements": {"sampling": {"max_new_tokens": 40}},
        "policy": {"training": {**FEW_AT_A_TIME, "epochs": 4}, "sampling": {"max_new_tokens": 40}},
    }
}
CONTROLS = ("initial_outputs", "no_feedback", "shuffled_feedback")


def test_the_whole_loop_runs_and_resumes(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project")
    project.kedro("run", "--env", "test", "--pipelines", "word_removal,word_removal_probe")
    first = project.tables()
    sizes = {arm: len(first[f"05_model_input/word_removal/{arm}_targets.parquet"]) for arm in CONTROLS}
    assert set(sizes.values()) == {4}
    assert len(first["05_model_input/word_removal/second_round_targets.parquet"]) == 8
    printed = project.kedro("run", "--env", "test", "--pipelines", "word_removal").stdout
    assert printed.count("using the finished training") == 8
    again = project.tables()
    for name in ("answers", "refinements_refined"):
        key = next(each for each in first if each.endswith(f"word_removal/{name}.parquet"))
        pd.testing.assert_frame_equal(first[key], again[key])


@pytest.mark.timeout(1800)
def test_the_policy_learns_from_feedback_and_from_no_control(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project", OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
    project.write_local("parameters.yml", SMALL)
    arms = ("refinements", *CONTROLS)
    wanted = ",".join(f"word_removal.{arm}.answers" for arm in ("initial", *arms))
    project.kedro("run", "--env", "word_removal", "--to-outputs", wanted)
    tables = project.tables("data/word_removal")
    right = tables["03_primary/word_removal/note_answers.parquet"]
    answers = [tables[f"07_model_output/word_removal/{arm}_answers.parquet"] for arm in ("initial", *arms)]
    judged = pd.concat(answers).merge(right, on="example_id")
    judged["right"] = judged["text"] == judged["answer"]
    intervals = {}
    for arm, group in judged.groupby("model"):
        intervals[str(arm)] = wilson(int(group["right"].sum()), len(group))
    assert intervals["initial"][1] < 0.1
    assert intervals["refinements"][0] > max(intervals[control][1] for control in CONTROLS), intervals


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval by Wilson's formula, written out."""
    centre = (hits / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (hits / n * (1 - hits / n) / n + z**2 / (4 * n**2)) ** 0.5
    return centre - half, centre + half
