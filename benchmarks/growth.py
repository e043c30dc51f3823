"""How CPU time and memory grow with the data, nothing being trained: rows in, refinements out and scored.

    python benchmarks/growth.py [--rows 100 1000 5000] [--refinements 5] [--nodes 4]

Every language model is the scripted one, so that what is measured is everything else. Each size runs data_prep,
refinement, selection and the comparison of refinements in a project of its own, by the command line. CPU-seconds are
the process's, its start included; memory is the highest that was resident.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from tests.support.raw_rows import row  # noqa: E402
from tests.support.whole_project import WholeProject  # noqa: E402

PIPELINES = ("--pipelines", "data_prep,refinement,selection,reporting", "--to-outputs", "refinement_metrics,selections")
MODELS = ("base_model", "refiner", "instruct_rm", "reward_base_model", "judge", "classifier", "likelihood_model")
SCRIPTED = {"type": "ilf_kedro.datasets.LanguageModelDataset", "backend": "scripted", "name": "scripted"}
SPLITS = {"development": 20, "validation": 20, "test": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--refinements", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=4, help="how many of the dearest nodes are named")
    arguments = parser.parse_args()
    table = Table("rows", "CPU-s", "s per 1,000 rows", "MiB", "the dearest nodes, CPU-s", title="Growth with the data")
    with tempfile.TemporaryDirectory() as folder:
        for n in arguments.rows:
            table.add_row(f"{n:,}", *measure(Path(folder) / str(n), n, arguments.refinements, arguments.nodes))
    Console(width=150).print(table)


def measure(path: Path, n: int, n_refinements: int, n_named: int) -> tuple[str, ...]:
    """Run once on `n` rows of the training split."""
    project = WholeProject.create(path)
    raw = path / "data" / "01_raw" / "slf5k_sample"
    rng = random.Random(0)
    words = (raw / "train.jsonl").read_text("utf-8").split()
    for split, size in {"train": n, **SPLITS}.items():
        rows = (written(f"{split}-{i}", words, rng) for i in range(size))
        (raw / f"{split}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    project.write_local("catalog.yml", dict.fromkeys(MODELS, SCRIPTED))
    project.write_local("parameters.yml", {"train_sizes": [n], "refinement": {"n_refinements": n_refinements}})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    project.kedro("run", "--env", "test", *PIPELINES)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    nodes = project.record().nodes
    peak = max(node.peak_memory_mb for node in nodes)
    dearest = sorted(nodes, key=lambda node: -node.cpu_seconds)[:n_named]
    named = ", ".join(f"{node.name.rpartition('.')[2]} {node.cpu_seconds:.1f}" for node in dearest)
    return f"{seconds:.1f}", f"{1000 * seconds / n:.1f}", f"{peak:,.0f}", named


def written(identifier: str, words: list[str], rng: random.Random) -> dict[str, object]:
    """A row with texts as long as SLF5K's."""
    texts = {"post": 250, "generated_summary_for_feedback": 30, "feedback": 30, "ideal_human_summary": 30}
    drawn = {column: " ".join(rng.choices(words, k=k)) for column, k in texts.items()}
    return row(identifier, **drawn)


if __name__ == "__main__":
    main()
