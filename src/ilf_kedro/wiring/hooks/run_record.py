"""The run record: written when a run starts, after each node, and when it ends."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from ilf_kedro.datasets.run_record import CurrentRunRecordDataset
from ilf_kedro.language_models.openai.entry import open_new_ledgers
from ilf_kedro.language_models.protocol import Model
from ilf_kedro.schemas.redaction import redact, redact_values
from ilf_kedro.schemas.run_record import (
    DatasetVersion,
    NodeCost,
    Outcome,
    RunRecord,
    cpu_seconds,
    describe_git,
    describe_platform,
    library_versions,
    peak_memory_mb,
    reset_peak_memory,
)
from ilf_kedro.wiring.context import ProjectContext
from ilf_kedro.wiring.hooks.content_hashes import content_hash
from ilf_kedro.wiring.hooks.language_models_used import LanguageModelsUsed
from ilf_kedro.wiring.parameters import Parameters

__all__ = ["CURRENT_RECORD", "RECORD", "RunRecordHook"]

RECORD = "run_record"
CURRENT_RECORD = "run_record.so_far"


@dataclass(slots=True)
class _Clock:
    """What the process had used when a node began."""

    seconds: float = field(default_factory=time.perf_counter)
    cpu_seconds: float = field(default_factory=cpu_seconds)
    peak_memory_mb: float = field(default_factory=peak_memory_mb)

    def stop(self, name: str) -> NodeCost:
        """Return what the node took until now."""
        peak = peak_memory_mb()
        return NodeCost(
            name=name,
            seconds=round(time.perf_counter() - self.seconds, 3),
            cpu_seconds=round(cpu_seconds() - self.cpu_seconds, 3),
            peak_memory_mb=round(peak, 1),
            memory_increase_mb=round(max(0.0, peak - self.peak_memory_mb), 1),
        )


@dataclass(slots=True)
class _Run:
    """The run in progress: its record as it was at the start, and what has happened since."""

    start: RunRecord
    project: Path
    catalog: DataCatalog
    makers: dict[str, str] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)
    clocks: dict[str, _Clock] = field(default_factory=dict)
    costs: dict[str, NodeCost] = field(default_factory=dict)
    loaded: dict[str, DatasetVersion] = field(default_factory=dict)
    saved: dict[str, DatasetVersion] = field(default_factory=dict)
    models: LanguageModelsUsed = field(default_factory=LanguageModelsUsed)

    def record(self, outcome: Outcome = "started", error: str | None = None) -> RunRecord:
        """Return the record as of now."""
        changes = {
            "outcome": outcome,
            "finished": None if outcome == "started" else datetime.now(UTC),
            "error": error,
            "nodes": tuple(self.costs.values()),
            "loaded": _sorted(self.loaded),
            "saved": _sorted(self.saved),
            "language_models": self.models.describe(),
        }
        return self.start.model_copy(update=changes)

    def begin(self, node: Node) -> None:
        """Start a node's clock, if it does not run yet."""
        if node.name not in self.clocks:
            reset_peak_memory()
            self.clocks[node.name] = _Clock()

    def measure(self, node: Node) -> None:
        """Take down what a node has used so far."""
        if node.name in self.clocks:
            cost = self.clocks[node.name].stop(node.name)
            self.costs[node.name] = cost.model_copy(update={"language_models": self.models.describe_work(node.name)})


@dataclass(slots=True)
class _Current:
    """The run in progress, if there is one. The catalog has it too, so that it goes to other processes."""

    run: _Run | None = None

    def read(self) -> RunRecord:
        """Return the record as of now; in another process, as of when that was given its work."""
        if self.run is None:
            raise RuntimeError(f"{CURRENT_RECORD!r} is there only while a pipeline runs; load {RECORD!r} instead")
        return self.run.record()


class RunRecordHook:
    """Keeps the record of a run, in the catalog entry `run_record`, if there is one.

    Reports read the record of their own run from `run_record.so_far`.
    """

    def __init__(self) -> None:
        self._parameters: Parameters | None = None
        self._current = _Current()
        self._writing = threading.Lock()  # nodes may end at the same time under the ThreadRunner

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the parameters: as checked, with every default."""
        self._parameters = cast(ProjectContext, context).parameters

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog) -> None:
        """Offer the record of the run in progress as a data set."""
        self._current = _Current()  # an earlier run of this process has ended, if by an interrupt
        catalog[CURRENT_RECORD] = CurrentRunRecordDataset(self._current.read)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Write that the run has started: what a killed run leaves behind."""
        open_new_ledgers()
        project = Path(run_params["project_path"])
        self._current.run = _Run(self._start(run_params, pipeline, project), project, catalog, _makers(pipeline))
        self._write()

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """Start the node's clock at its first input."""
        if self._run is not None:
            self._run.begin(node)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: object, node: Node) -> None:
        """Take down which version, prompt, raw file, checkpoint or language model was used."""
        if self._run is None or _is_parameter(dataset_name):
            return
        is_new = dataset_name not in self._run.loaded
        if is_new and (version := _describe(dataset_name, data, self._run.catalog, saved=False)) is not None:
            made_by = self._run.makers.get(dataset_name)
            self._run.loaded[dataset_name] = version.model_copy(update={"made_by": made_by})
        if isinstance(data, Model):
            self._run.models.add(dataset_name, data, node.name)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a node without inputs."""
        if self._run is not None:
            self._run.begin(node)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Measure the node; it goes on while its outputs are saved."""
        if self._run is not None:
            self._run.measure(node)
            if not node.outputs:
                self._write()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: object, node: Node) -> None:
        """Take down what was made, and write the record once the node is done."""
        if self._run is None:
            return
        if (version := _describe(dataset_name, data, self._run.catalog, saved=True)) is not None:
            self._run.saved[dataset_name] = version.model_copy(update={"made_by": node.name})
        self._run.measure(node)
        if dataset_name == node.outputs[-1]:
            self._write()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Write that the run has succeeded."""
        self._finish("succeeded")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Write that the run has failed, and why; where the disk is at fault, it may fail at that as well."""
        try:
            self._finish("failed", f"{type(error).__name__}: {error}")
        except DatasetError as second:
            error.add_note(f"The run record could not be written: {second}")

    @property
    def _run(self) -> _Run | None:
        """The run in progress; none in a worker of Kedro's ParallelRunner, which must not write the record too."""
        run = self._current.run
        return run if run is not None and run.process == os.getpid() else None

    def _finish(self, outcome: Outcome, error: str | None = None) -> None:
        if self._run is not None:
            self._write(outcome, redact(error, self._run.project) if error else None)
            self._current.run = None

    def _write(self, outcome: Outcome = "started", error: str | None = None) -> None:
        # Not by catalog.save, which would log a line after each node.
        if self._run is not None and RECORD in self._run.catalog:
            with self._writing:
                self._run.catalog[RECORD].save(self._run.record(outcome, error))

    def _start(self, run_params: dict[str, Any], pipeline: Pipeline, project: Path) -> RunRecord:
        parameters = self._parameters.model_dump(mode="json") if self._parameters else {}
        return RunRecord(
            run_id=run_params["run_id"],
            outcome="started",
            started=datetime.now(UTC),
            command=_command(project),
            pipelines=tuple(run_params.get("pipeline_names") or ("__default__",)),
            tags=tuple(run_params.get("tags") or ()),
            environment=run_params.get("env") or "base",
            git=describe_git(project),
            parameters=cast(dict[str, Any], redact_values(parameters, project)),
            libraries=library_versions(),
            python=sys.version.split()[0],
            platform=describe_platform(),
            nodes_planned=len(pipeline.nodes),
        )


def _command(project: Path) -> str | None:
    """Return the command line without secrets; None where the run was started from Python."""
    if click.get_current_context(silent=True) is None:
        return None
    return redact(shlex.join(["kedro", *sys.argv[1:]]), project)


def _makers(running: Pipeline) -> dict[str, str]:
    """Return the node that makes each data set: of the pipeline that runs, else of any that is registered."""
    return {
        output: node.name for each in (*pipelines.values(), running) for node in each.nodes for output in node.outputs
    }


def _is_parameter(name: str) -> bool:
    return name == "parameters" or name.startswith("params:")


def _describe(name: str, data: object, catalog: DataCatalog, *, saved: bool) -> DatasetVersion | None:
    """Return the version and content of a persisted data set; None for one that lives in memory only."""
    dataset = catalog.get(name)
    if dataset is None or getattr(dataset, "_EPHEMERAL", False):
        return None
    resolve = getattr(dataset, "resolve_save_version" if saved else "resolve_load_version", None)
    return DatasetVersion(name=name, version=resolve() if resolve else None, content_hash=content_hash(data))


def _sorted(versions: dict[str, DatasetVersion]) -> tuple[DatasetVersion, ...]:
    return tuple(versions[name] for name in sorted(versions))
