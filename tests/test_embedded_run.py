"""The whole loop with the embedded model at a small size: what it writes is language, and it fits a laptop."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.whole_project import WholeProject

SAMPLING = {"max_new_tokens": 16}
SMALL = {
    "train_sizes": [2],
    "refinement": {"n_refinements": 2, "sampling": SAMPLING},
    "finetune": {"arms": ["refinements"], "best_of_n": 2, "sampling": SAMPLING},
    "reward_model": {"train_size": 4},
    "reporting": {"n_judged": 2},
}
WORD = re.compile(r"[a-z']{2,}")


@pytest.mark.slow
def test_the_embedded_model_runs_the_whole_loop(tmp_path: Path) -> None:
    project = WholeProject.create(tmp_path / "project", OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
    project.write_local("parameters.yml", SMALL)
    printed = project.kedro("run").stdout
    report = re.search(r"^Report: (.+)$", printed, re.MULTILINE)
    assert report is not None
    assert "<html" in (project.path / report[1]).read_text("utf-8")

    refinements = project.tables("data")["04_feature/refinements/refinement_with_feedback.parquet"]
    assert len(refinements) == 2 * 2
    words = WORD.findall(" ".join(refinements["text"]).lower())
    known = _words_of_the_sample(project.path)
    assert len(words) >= 4 * 5
    assert sum(word in known for word in words) / len(words) > 0.7  # of random tokens' about a tenth

    record = project.record("data")
    assert record.outcome == "succeeded"
    assert {model.name for model in record.language_models} >= {"SmolLM2-135M-Instruct"}
    assert max(node.peak_memory_mb for node in record.nodes) * 2**20 < 6e9


def _words_of_the_sample(project: Path) -> set[str]:
    """Return every word of the raw rows' texts."""
    rows = [
        json.loads(line)
        for file in (project / "data" / "01_raw" / "slf5k_sample").glob("*.jsonl")
        for line in file.read_text("utf-8").splitlines()
    ]
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    return set(WORD.findall(" ".join(texts).lower()))
