"""One training by several processes of this machine: a specification in, weights out.

The processes are started by torch's own launcher (launcher.py), and each runs worker.py. They talk by gloo on
CPUs and by NCCL on CUDA.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import torch
from pydantic import ValidationError
from rich.progress import Progress

from ilf_kedro.language_models.checkpoints.checkpoint import ModelSource
from ilf_kedro.schemas import Options, UserError
from ilf_kedro.training.encoded_file import write_encoded
from ilf_kedro.training.encoding import EncodedExample, EncodedPair
from ilf_kedro.training.errors import DivergedError
from ilf_kedro.training.options import TrainingOptions

logger = logging.getLogger(__name__)

_SHOWN_LINES = 20  # of what a dead process wrote
_SHOWN_CHARACTERS = 4000


class TrainingProcessError(UserError):
    """A process of a training died. What it had saved before stays, and the next run goes on from there."""


class Specification(Options):
    """All that a process needs to take its part in a training.

    `examples` is a file of write_encoded. The process that leads puts weights and outcome into `result`.
    """

    base: ModelSource
    examples: Path
    options: TrainingOptions
    dtype: str
    seed: int
    label: str
    state_directory: Path
    result: Path

    @property
    def weights(self) -> Path:
        """The folder of the trained weights."""
        return self.result / "weights"

    @property
    def outcome(self) -> Path:
        """The file of the outcome, written after everything else."""
        return self.result / "outcome.json"


class Outcome(Options):
    """The log of all optimiser steps, and how many of them were executed by these processes."""

    log: tuple[dict[str, float], ...]
    executed_steps: int


class Report(Options):
    """A line that the leading process prints: how far the training is, or why it cannot go on."""

    step: int = 0
    n_steps: int = 0
    diverged: str | None = None


class Failure(Options):
    """Which process failed first; a negative exit code is the signal that killed it."""

    rank: int
    exit_code: int


def failure_file(logs: Path) -> Path:
    """Return where the launcher writes the failure, if there was one."""
    return logs / "failure.json"


@dataclass(frozen=True, slots=True)
class ProcessesFit:
    """The folder of the weights that several processes fitted, and what they say of it."""

    weights: Path
    log: tuple[dict[str, float], ...]
    executed_steps: int

    def write(self, directory: Path) -> None:
        """Put the weights into a folder."""
        shutil.copytree(self.weights, directory, dirs_exist_ok=True)


def fit_in_processes(
    base: ModelSource,
    examples: Sequence[EncodedExample] | Sequence[EncodedPair],
    options: TrainingOptions,
    *,
    dtype: str,
    seed: int,
    state_directory: Path,
    label: str,
) -> ProcessesFit:
    """Fit `base` on `examples` in `options.processes` processes, as fit_language_model does in one.

    Each optimiser step has the examples that it has in one process, divided among all.

    Raises:
        UserError: this machine has GPUs, but fewer than processes.
        TrainingProcessError: a process died; with the end of what it wrote.
        DivergedError: the loss became infinite or not a number.
    """
    if 0 < torch.cuda.device_count() < options.processes:
        raise UserError(
            f"{label}: found {torch.cuda.device_count()} GPUs for {options.processes} processes, expected as many; "
            "lower training.processes"
        )
    if options.parallelism == "fsdp":  # its mid-run checkpoints are its own
        state_directory /= "fsdp"
    result = state_directory / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True)
    specification = Specification(
        base=base,
        examples=state_directory / "examples.safetensors",
        options=options,
        dtype=dtype,
        seed=seed,
        label=label,
        state_directory=state_directory,
        result=result,
    )
    write_encoded(examples, specification.examples)
    file = state_directory / "specification.json"
    file.write_text(specification.model_dump_json(indent=2) + "\n", encoding="utf-8")
    logger.info("%s: training in %d processes (%s)", label, options.processes, options.parallelism)
    run_processes(file, specification)
    outcome = Outcome.model_validate_json(specification.outcome.read_bytes())
    return ProcessesFit(specification.weights, outcome.log, outcome.executed_steps)


def run_processes(file: Path, specification: Specification) -> None:
    """Run the processes of the specification in `file` to their end, showing how far they are.

    Raises:
        TrainingProcessError: a process died.
        DivergedError: the loss became infinite or not a number.
    """
    diverged: str | None = None
    with tempfile.TemporaryDirectory(prefix="ilf_training_") as logs:
        with _started(file, specification.options.processes, Path(logs)) as (launcher, lines), Progress() as progress:
            task = progress.add_task(specification.label, total=None)
            for line in lines:
                report = _read_report(line)
                if report is None:
                    logger.info("%s: %s", specification.label, line.rstrip())
                else:
                    diverged = report.diverged or diverged
                    progress.update(task, total=report.n_steps, completed=report.step)
        if diverged is not None:
            raise DivergedError(diverged)
        if launcher.returncode:
            raise TrainingProcessError(_explain(specification, launcher.returncode, Path(logs)))


def child_environment(n_processes: int) -> dict[str, str]:
    """Return this process's environment, with this package to be found first, and a share of the cores for each."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = str(max(1, torch.get_num_threads() // n_processes))
    return {
        "OMP_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
    }


@contextmanager
def _started(file: Path, n_processes: int, logs: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Give the launcher and its output. What each process writes as errors goes into files below `logs`.

    The processes hold the reading end of a pipe, and end as soon as its other end is closed: when this process
    ends, in whatever way. So none outlives it, to write into a training that another run has resumed.
    """
    command = [sys.executable, "-m", "ilf_kedro.training.launcher", str(file), str(logs)]
    with (logs / "launcher.log").open("wb") as errors:
        launcher = subprocess.Popen(
            command,
            env=child_environment(n_processes),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
        )
    with launcher:  # closes the pipes, and waits
        yield launcher, cast(IO[str], launcher.stdout)


def _read_report(line: str) -> Report | None:
    if not line.startswith("{"):
        return None
    try:
        return Report.model_validate_json(line)
    except ValidationError:
        return None


def _explain(specification: Specification, exit_code: int, logs: Path) -> str:
    """Say which process died of what, with the end of what it wrote, and what is left."""
    n_processes = specification.options.processes
    if failure_file(logs).is_file():
        failure = Failure.model_validate_json(failure_file(logs).read_bytes())
        code = failure.exit_code
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        what = f"process {failure.rank + 1} of {n_processes} {ended}"
        written_to = sorted(logs.glob(f"*/attempt_0/{failure.rank}/stderr.log"))
    else:
        what, written_to = f"the launcher ended with exit code {exit_code}", [logs / "launcher.log"]
    written = written_to[-1].read_text("utf-8", errors="replace") if written_to else ""
    saved = sorted(specification.state_directory.glob("checkpoint-*"))
    kept = "what was saved on the way stays, and the next run goes on from there" if saved else "nothing was saved yet"
    tail = "\n".join(written.splitlines()[-_SHOWN_LINES:])[-_SHOWN_CHARACTERS:]
    return f"{specification.label}: {what}; {kept}. The end of what it wrote:\n{tail or '(nothing)'}"
