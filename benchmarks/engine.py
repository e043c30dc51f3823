"""Measure the local engine against one prompt and one sample at a time, in one process.

    python benchmarks/engine.py                # five interleaved runs, half an hour of CPU time
    python benchmarks/engine.py --quick        # one run of smaller cases, some minutes

Ratios are of CPU-seconds per answer token (generation) or per answer, medians over interleaved runs. The
oracle is the one that the tests compare with (tests/support/naive.py). Memory is what the process
held at most during the case beyond what it held before, the models themselves not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import psutil
import torch
from engine_cases import ROOT, Bench, Case, make_cases
from rich.console import Console
from rich.table import Table

COLUMNS = ("case", "naive /CPU-s", "here /CPU-s", "ratio", "range", "here /s", "peak MiB", "unique/total", "difference")


class Measured:
    """What was measured of one case, run by run."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.cpu: dict[str, list[float]] = defaultdict(list)
        self.wall: list[float] = []
        self.peak = 0.0
        self.difference = ""

    def run(self) -> None:
        """Run both ways once, the naive one first."""
        for way, answers in (("naive", self.case.oracle), ("here", self.case.way)):
            with peak_memory() as peak:
                began, cpu = time.monotonic(), time.process_time()
                n = answers()
                self.cpu[way].append((time.process_time() - cpu) / n)
                if way == "here":
                    self.wall.append((time.monotonic() - began) / n)
            self.peak = max(self.peak, peak[0]) if way == "here" else self.peak

    def compare(self) -> None:
        """Find out how far the two ways' answers lie apart."""
        self.difference = self.case.difference() if self.case.difference else ""

    def row(self) -> tuple[str, ...]:
        """Return the medians as a row of the table."""
        naive, here = (statistics.median(self.cpu[way]) for way in ("naive", "here"))
        ratios = [one / other for one, other in zip(self.cpu["naive"], self.cpu["here"], strict=True)]
        figures = (f"{1 / naive:.2f}", f"{1 / here:.2f}", f"{naive / here:.2f}", f"{min(ratios):.1f}–{max(ratios):.1f}")
        speed = f"{1 / statistics.median(self.wall):.1f}"
        return (self.case.name, *figures, speed, f"{self.peak:.0f}", self.case.shared, self.difference)


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Watch how much more memory this process holds meanwhile; gives a list with the peak in MiB."""
    process, done, peak = psutil.Process(), threading.Event(), [0.0]
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], (process.memory_info().rss - before) / 2**20)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "data" / "06_models" / "smollm2-135m-instruct")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs; medians are shown")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--only", default="", help="only the cases whose names contain this")
    parser.add_argument("--quick", action="store_true", help="one run of smaller cases")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    table = Table(*COLUMNS, title="Local engine")
    for dtype in arguments.dtypes:
        bench = Bench(arguments.model, dtype, seed=0)
        cases = [Measured(case) for case in make_cases(bench, dtype, quick=arguments.quick)]
        cases = [case for case in cases if arguments.only in case.case.name]
        for case in cases:
            case.compare()
        for run in range(1 if arguments.quick else arguments.runs):
            for case in cases:
                if run and case.case.once:
                    continue
                case.run()
                print(f"run {run + 1}  " + "  ".join(case.row()), file=sys.stderr)
        for case in cases:
            table.add_row(*case.row())
        bench.resources.close()
    Console(width=190).print(table)
    print(f"{torch.get_num_threads()} threads; “here /s” is by the clock, all other figures are CPU-seconds")


if __name__ == "__main__":
    main()
