"""Experiment trackers that a run can be written to: MLflow and trackio, each an extra, imported where it is used."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from ilf_kedro.schemas import UserError
from ilf_kedro.wiring.tracking_options import TrackingOptions

__all__ = ["MlflowTracker", "Point", "Tracker", "TrackerError", "TrackioTracker", "open_trackers"]

_SQLITE = "sqlite:///"
_MLFLOW_BATCH = 1000  # metrics of one request
_MLFLOW_PARAMETERS = 100
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]")


class TrackerError(UserError):
    """A tracker that was asked for cannot be used."""


@dataclass(frozen=True, slots=True)
class Point:
    """Numbers by their names, at a step of a training; or, without one, of the whole run."""

    values: Mapping[str, float]
    step: int | None = None

    def finite(self) -> dict[str, float]:
        """Return the numbers that are finite, under names that every tracker takes."""
        return {_NOT_IN_NAMES.sub("_", name): value for name, value in self.values.items() if math.isfinite(value)}


class Tracker(Protocol):
    """One run in one tracker. `errors` are those that its library raises."""

    errors: tuple[type[Exception], ...]

    def log(self, points: Sequence[Point]) -> None:
        """Write numbers."""

    def finish(self, *, succeeded: bool) -> None:
        """Close the run."""


def open_trackers(
    options: TrackingOptions, run_name: str, parameters: Mapping[str, Any], project: Path
) -> list[Tracker]:
    """Begin the run in each tracker that is asked for, and write its parameters there, as they are given.

    Raises:
        TrackerError: one is not installed, or cannot be reached.
    """
    trackers: list[Tracker] = []
    if options.mlflow:
        trackers.append(MlflowTracker(options, run_name, parameters, project))
    if options.trackio:
        trackers.append(TrackioTracker(options, run_name, parameters, project))
    return trackers


class MlflowTracker:
    """A run in an MLflow tracking store: a SQLite file, or a server."""

    def __init__(self, options: TrackingOptions, run_name: str, parameters: Mapping[str, Any], project: Path) -> None:
        mlflow = _load("mlflow", "mlflow")
        self._entities = importlib.import_module("mlflow.entities")
        self.errors: tuple[type[Exception], ...] = (mlflow.MlflowException,)
        uri = options.mlflow_tracking_uri
        artifacts = None
        if uri.startswith(_SQLITE):
            file = project / uri.removeprefix(_SQLITE)
            file.parent.mkdir(parents=True, exist_ok=True)
            uri, artifacts = f"{_SQLITE}{file}", (project / "mlruns").as_uri()
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(options.experiment)
            experiment = (
                self._client.create_experiment(options.experiment, artifacts) if found is None else found.experiment_id
            )
            self._run = self._client.create_run(experiment, run_name=run_name).info.run_id
        except self.errors as error:
            raise TrackerError(
                f"MLflow at {options.mlflow_tracking_uri} does not answer: {error}; correct "
                "tracking.mlflow_tracking_uri, or set tracking.mlflow to false"
            ) from error
        flat = [self._entities.Param(key, str(value)) for key, value in _flatten(parameters)]
        for some in _portions(flat, _MLFLOW_PARAMETERS):
            self._client.log_batch(self._run, params=some)

    def log(self, points: Sequence[Point]) -> None:
        """See Tracker."""
        now = int(time.time() * 1000)
        metrics = [
            self._entities.Metric(name, value, now, point.step or 0)
            for point in points
            for name, value in point.finite().items()
        ]
        for some in _portions(metrics, _MLFLOW_BATCH):
            self._client.log_batch(self._run, metrics=some)

    def finish(self, *, succeeded: bool) -> None:
        """See Tracker."""
        self._client.set_terminated(self._run, "FINISHED" if succeeded else "FAILED")


class TrackioTracker:
    """A run in trackio: a SQLite file in a folder of the project."""

    errors: tuple[type[Exception], ...] = ()

    def __init__(self, options: TrackingOptions, run_name: str, parameters: Mapping[str, Any], project: Path) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(project / options.trackio_directory))  # read when it is imported
        self._trackio = _load("trackio", "trackio")
        with _quiet():
            self._run = self._trackio.init(
                project=options.experiment,
                name=run_name,
                config=dict(parameters),
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, points: Sequence[Point]) -> None:
        """See Tracker."""
        for point in points:
            self._run.log(point.finite(), step=point.step)

    def finish(self, *, succeeded: bool) -> None:
        """See Tracker."""
        self._run.log({"succeeded": float(succeeded)})
        with _quiet():
            self._trackio.finish()  # and not the run's own, which would be called again when Python ends


def _load(module: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TrackerError(
            f"tracking.{extra} is true, but {error.name or module} is not installed; install the extra with "
            f"`pip install -e '.[{extra}]'`, or set tracking.{extra} to false"
        ) from error


def _flatten(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted key that has no keys below it, with its value."""
    for key, value in parameters.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _portions(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what a library prints, in place of logging it, off the console."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
