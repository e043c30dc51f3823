"""Kill whole runs at random moments, run them to the end, and compare what they made with an undisturbed run's.

    python benchmarks/kills.py            # 20 kills over 4 folders: an hour on two busy cores
    python benchmarks/kills.py 10 2       # 10 kills over 2 folders

Each run is `kedro run --env test` in a copy of the project, as a user runs it. The moments lie evenly in the time
that an undisturbed run takes after its first node began, shorter for each run that a folder has seen.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from tests.support.whole_project import WholeProject  # noqa: E402

ARGUMENTS = ("run", "--env", "test", "--params", "train_sizes=[4]")
VERSION = re.compile(r"\d{4}-\d\d-\d\dT.*Z")
LEFT_OVER = (".tmp", ".building", ".partial", ".replaced")
console = Console(width=160)


def main(n_kills: int, n_folders: int) -> None:
    """Print what became of every folder, and the counts."""
    rng, counts = random.Random(20261130), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        whole = project(Path(place) / "undisturbed")
        _, seconds = run(whole, None)
        expected = made_by(whole)
        console.print(f"undisturbed: {seconds:.0f} s after the first node began, {len(expected)} tables and weights")
        for number in range(n_folders):
            own = project(Path(place) / f"killed{number}")
            kills = n_kills // n_folders + (number < n_kills % n_folders)
            done: list[int] = []
            while len(done) < kills:
                nodes, _ = run(own, rng.uniform(0, seconds / (1 + len(done))))
                if nodes is None:  # it was quicker than its kill: begin anew, or everything would be done already
                    counts["runs that ended before their kill"] += 1
                    shutil.rmtree(own.path)
                    own = project(own.path)
                    done = []
                    continue
                done.append(nodes)
            counts["kills of a running process"] += len(done)
            ended = own.kedro(*ARGUMENTS, check=False)
            counts["reruns that succeeded" if ended.returncode == 0 else "reruns that failed"] += 1
            found = made_by(own)
            differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            counts["tables and weights that differ"] += len(differing)
            left = [path.name for path in (own.path / "data" / "test").rglob("*") if path.name.endswith(LEFT_OVER)]
            counts["half-made files left over"] += len(left)
            console.print(f"folder {number}: nodes done at each kill {done}; differing {differing}; left over {left}")
    for name, count in counts.items():
        console.print(f"{count:>4} {name}")


def project(path: Path) -> WholeProject:
    """Return a copy of the project with data of its own."""
    return WholeProject.create(path, HF_HUB_OFFLINE="1", PYTHONPATH=f"{path / 'src'}")


def run(own: WholeProject, kill_after: float | None) -> tuple[int | None, float]:
    """Run; kill it, and all that it started, so many seconds after its first node began (None: never).

    Returns how many nodes were done at the kill, None where it ended by itself, and the seconds it ran.
    """
    log = own.path / "killed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", *ARGUMENTS],
            cwd=own.path,
            env=own.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while process.poll() is None and b"Running node" not in log.read_bytes():
        time.sleep(0.05)
    began = time.monotonic()
    try:
        process.wait(kill_after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return log.read_bytes().count(b"Completed node"), time.monotonic() - began
    if process.returncode:
        raise RuntimeError(log.read_text("utf-8", "replace")[-3000:])
    return None, time.monotonic() - began


def made_by(own: WholeProject) -> dict[str, str]:
    """Return the hash of every table's content and of every file of weights, in their newest versions."""
    made = {
        name: hashlib.sha256(table.to_json(orient="split").encode()).hexdigest()
        for name, table in own.tables("data/test").items()
    }
    root = own.path / "data" / "test" / "06_models"
    for path in sorted(root.rglob("*.safetensors")):  # the newest version of a checkpoint comes last
        name = "/".join(part for part in path.relative_to(root).parts if not VERSION.fullmatch(part))
        if "trainings" not in path.parts:
            made[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return made


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3])) if len(sys.argv) > 2 else main(20, 4)
