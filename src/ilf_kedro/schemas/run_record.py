"""What a run did, with what and at what cost: enough to say later where a figure came from.

A record names no machine, no user and no absolute path, and holds no secret.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from ilf_kedro.schemas import Options

__all__ = [
    "ApiSpending",
    "DatasetVersion",
    "GitState",
    "LanguageModelUsed",
    "LocalWork",
    "NodeCost",
    "Outcome",
    "RunRecord",
    "cpu_seconds",
    "describe_git",
    "library_versions",
    "peak_memory_mb",
    "reset_peak_memory",
]

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")

Outcome = Literal["started", "succeeded", "failed"]

_LIBRARIES = (
    "ilf-kedro",
    "kedro",
    "kedro-datasets",
    "numpy",
    "openai",
    "pandas",
    "pandera",
    "peft",
    "pyarrow",
    "pydantic",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
)


class GitState(Options):
    """The commit that was checked out, and whether no tracked or new file differed from it."""

    commit: str
    clean: bool


class DatasetVersion(Options):
    """A persisted data set that a run read or wrote.

    `version` is null where the entry is not versioned. `made_by` is the node that makes it, null where people do.
    `content_hash` is the SHA-256 of a raw file's bytes, of a
    prompt, of what a checkpoint was trained from, or of a table's names and values; null for anything else.
    """

    name: str
    version: str | None = None
    made_by: str | None = None
    content_hash: str | None = None


class LocalWork(Options):
    """What a language model on this machine did in a run.

    `tokens_asked` are those that one prompt and one answer at a time would have computed; `inputs_truncated` the
    prompts that were longer than the context.
    """

    answers_from_cache: int
    answers_computed: int
    tokens_asked: int
    tokens_computed: int
    inputs_truncated: int


class ApiSpending(Options):
    """What a language model behind an API cost in a run.

    USD are null where a price is unknown. `possibly_billed_usd` is, at its highest price, what was asked
    for and never arrived; `saved_usd` what the answers from the cache had cost; `budget` the sum that this
    model and others on its server may spend together.
    """

    requests: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    possibly_billed_usd: float
    answers_from_cache: int
    saved_usd: float | None
    budget: float | None
    faults: dict[str, int]


class LanguageModelUsed(Options):
    """A language model that a node was given, by the name of its catalog entry, and what it did, if anything."""

    dataset: str
    name: str
    revision: str
    local_work: LocalWork | None = None
    api_spending: ApiSpending | None = None


class NodeCost(Options):
    """What a node took, loading its inputs and saving its outputs included.

    `seconds` are of the wall clock, `cpu_seconds` of all threads and finished child processes;
    `peak_memory_mb` is the highest resident memory of the process while the node ran (MiB), and
    `memory_increase_mb` how far that is above what was resident when it began. Only Linux tells this: elsewhere
    they are the highest of the run so far, and by how much the node raised it. Of nodes that run at once the
    peak counts from the start of the last one. `language_models` did something in the node; what is said of one
    there is of this node alone.
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    memory_increase_mb: float
    language_models: tuple[LanguageModelUsed, ...] = ()


class RunRecord(Options):
    """One run. `outcome` stays "started" where the run was killed; times are UTC."""

    run_id: str
    outcome: Outcome
    started: datetime
    finished: datetime | None = None
    error: str | None = None
    command: str | None = None
    pipelines: tuple[str, ...]
    tags: tuple[str, ...] = ()
    environment: str
    git: GitState | None
    parameters: dict[str, JsonValue]
    loaded: tuple[DatasetVersion, ...] = ()
    saved: tuple[DatasetVersion, ...] = ()
    language_models: tuple[LanguageModelUsed, ...] = ()
    libraries: dict[str, str]
    python: str
    platform: str
    nodes_planned: int
    nodes: tuple[NodeCost, ...] = ()

    @property
    def spending(self) -> tuple[tuple[LanguageModelUsed, ApiSpending], ...]:
        """The language models that cost something, or would have without the cache, and how much."""
        return tuple((model, model.api_spending) for model in self.language_models if model.api_spending is not None)

    @property
    def seconds(self) -> float:
        """Seconds that the finished nodes took together."""
        return sum(node.seconds for node in self.nodes)


def describe_git(project: Path) -> GitState | None:
    """Return the state of the repository around `project`; None without git, a repository or a commit."""
    commit = _git(project, "rev-parse", "HEAD")
    status = _git(project, "status", "--porcelain")
    if commit is None or status is None:
        return None
    return GitState(commit=commit, clean=not status)


def library_versions() -> dict[str, str]:
    """Return the installed versions of the libraries that a result depends on."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def describe_platform() -> str:
    """Return the kind of machine, such as "Linux x86_64, 2 CPUs", without its name."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def cpu_seconds() -> float:
    """Return the CPU time so far of this process and its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def reset_peak_memory() -> None:
    """Forget the highest resident memory so far, where the system can: on Linux (proc_pid_clear_refs(5))."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")


def peak_memory_mb() -> float:
    """Return the highest resident memory of this process since the last reset, or ever, in MiB."""
    if _STATUS.exists() and (peak := re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)):
        return int(peak[1]) / 2**10
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest / 2**20 if sys.platform == "darwin" else highest / 2**10


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
