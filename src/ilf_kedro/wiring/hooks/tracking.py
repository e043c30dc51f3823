"""A run in an experiment tracker: its parameters, the loss curve of each training, and the main tables' numbers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from ilf_kedro.schemas.redaction import redact_values
from ilf_kedro.wiring.context import ProjectContext
from ilf_kedro.wiring.parameters import Parameters
from ilf_kedro.wiring.trackers import Point, Tracker, open_trackers

__all__ = ["TrackingHook", "training_points"]

logger = logging.getLogger(__name__)

_LOG = "training_log"
_CURVES = ("loss", "learning_rate", "gradient_norm")


class TrackingHook:
    """Writes to the trackers that the parameters ask for; without one it does nothing, and imports nothing.

    A tracker that fails while a run is under way is left out of its rest: the run's own tables have it all.
    """

    def __init__(self) -> None:
        self._parameters: Parameters | None = None
        self._trackers: list[Tracker] = []
        self._writing = threading.Lock()  # nodes may end at the same time under the ThreadRunner

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the parameters: as checked, with every default."""
        self._parameters = cast(ProjectContext, context).parameters

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Begin the run in each tracker; secrets among the parameters are masked.

        Raises:
            TrackerError: a tracker is not installed, or cannot be reached.
        """
        self._trackers = []
        if self._parameters is None:
            return
        project = Path(run_params["project_path"])
        parameters = redact_values(self._parameters.model_dump(mode="json"), project)
        options = self._parameters.tracking
        self._trackers = open_trackers(options, run_params["run_id"], cast(dict[str, Any], parameters), project)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: object) -> None:
        """Write a training's curve, or a main table's numbers."""
        if not self._trackers or self._parameters is None or not isinstance(data, pd.DataFrame):
            return
        prefix, _, kind = dataset_name.rpartition(".")
        if kind == _LOG:
            self._each(lambda tracker: tracker.log(training_points(prefix, data)))
        elif dataset_name in self._parameters.tracking.tables:
            self._each(lambda tracker: tracker.log([Point(dict(_numbers(dataset_name, data)))]))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the run as one that succeeded."""
        self._finish(succeeded=True)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Close the run as one that failed."""
        self._finish(succeeded=False)

    def _finish(self, *, succeeded: bool) -> None:
        self._each(lambda tracker: tracker.finish(succeeded=succeeded))
        self._trackers = []

    def _each(self, write: Callable[[Tracker], None]) -> None:
        with self._writing:
            for tracker in list(self._trackers):
                errors: tuple[type[Exception], ...] = (OSError, ValueError, *tracker.errors)
                try:
                    write(tracker)
                except errors as error:
                    self._trackers.remove(tracker)
                    logger.warning("%s is left out of the rest of the run: %s", type(tracker).__name__, error)


def training_points(name: str, log: pd.DataFrame) -> list[Point]:
    """Return the curves of a training step by step, and after them its last loss and what it was trained on."""
    curves = [column for column in _CURVES if column in log]
    points = [
        Point({f"{name}/{column}": float(row[column]) for column in curves}, step=int(row["step"]))
        for row in log.to_dict("records")
    ]
    last = log.iloc[-1]
    totals = {f"{name}/final_loss": float(last["loss"]), f"{name}/n_steps": float(len(log))}
    return [*points, Point({**totals, f"{name}/n_examples": float(last["n_examples"])})]


def _numbers(name: str, table: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """Yield each number of a table, named by the texts of its row, but for notes, and by its column."""
    numeric = [str(column) for column in table.select_dtypes("number")]
    texts = [str(column) for column in table.columns if str(column) not in {*numeric, "note"}]
    for row in table.to_dict("records"):
        place = "/".join([name, *(str(row[column]) for column in texts if isinstance(row[column], str))])
        yield from ((f"{place}/{column}", float(row[column])) for column in numeric)
