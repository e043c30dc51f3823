"""Runs that are written to an experiment tracker as well."""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.pipeline import Node, Pipeline

from ilf_kedro.schemas import ModelMetrics, TrainingLog
from ilf_kedro.wiring import trackers
from ilf_kedro.wiring.hooks import tracking
from ilf_kedro.wiring.trackers import MlflowTracker, Point, TrackerError, TrackioTracker, open_trackers
from ilf_kedro.wiring.tracking_options import TrackingOptions
from tests.support.mini_project import MiniProject, project

__all__ = ["project"]

SECRET = "sk-planted0123456789"  # pragma: allowlist secret
LOG = "finetune.refinements.n6.training_log"


def make_log() -> pd.DataFrame:
    rows = {"step": [1, 2], "epoch": [0.5, 1.0], "loss": [2.5, 1.25], "learning_rate": [1e-3, 5e-4]}
    return TrainingLog.validate(
        pd.DataFrame({**rows, "gradient_norm": [0.5, float("nan")], "n_examples": 6, "n_truncated": 0})
    )


def make_metrics() -> pd.DataFrame:
    row = {"model": "refinements_n6", "metric": "rouge_l", "n": 4, "value": 0.5, "standard_error": 0.1}
    return ModelMetrics.validate(pd.DataFrame([{**row, "lower": 0.3, "upper": 0.7, "note": "few"}]))


def make_table() -> pd.DataFrame:
    return pd.DataFrame({"text": ["an input"], "number": [7.0]})


def fail() -> None:
    raise ValueError(f"no luck with {SECRET}")


@pytest.fixture
def tracked(project: MiniProject) -> MiniProject:
    """A project that makes a training log, a main table and another table."""
    makers = {LOG: make_log, "model_metrics": make_metrics, "another": make_table}
    made = Pipeline([Node(make, None, name, name=f"make_{name}") for name, make in makers.items()])
    project.register(made=made, failing=Pipeline([Node(fail, None, "nothing", name="failing")]))
    return project


class ListTracker:
    """Keeps what it is given."""

    errors = ()

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.succeeded: bool | None = None

    def log(self, points: Sequence[Point]) -> None:
        self.points += points

    def finish(self, *, succeeded: bool) -> None:
        self.succeeded = succeeded


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The trackers that a run is given, and before them the arguments they were asked for with."""
    seen: list[Any] = []

    def open_list(*arguments: object) -> list[Any]:
        seen.extend([arguments, ListTracker()])
        return [seen[-1]]

    monkeypatch.setattr(tracking, "open_trackers", open_list)
    return seen


def test_curves_and_main_tables_are_written(tracked: MiniProject, opened: list[Any]) -> None:
    tracked.run(pipeline_names=["made"])
    (_, tracker) = opened
    name = "finetune.refinements.n6"
    by_step = {point.step: point.finite() for point in tracker.points if point.step is not None}
    assert by_step == {
        1: {f"{name}/loss": 2.5, f"{name}/learning_rate": 1e-3, f"{name}/gradient_norm": 0.5},
        2: {f"{name}/loss": 1.25, f"{name}/learning_rate": 5e-4},  # a number that is none is left out
    }
    place = "model_metrics/refinements_n6/rouge_l"
    totals = {key: value for point in tracker.points if point.step is None for key, value in point.values.items()}
    assert totals == {
        f"{name}/final_loss": 1.25,
        f"{name}/n_steps": 2.0,
        f"{name}/n_examples": 6.0,
        **{f"{place}/{key}": each for key, each in [("n", 4.0), ("value", 0.5), ("lower", 0.3), ("upper", 0.7)]},
        f"{place}/standard_error": 0.1,
    }
    assert tracker.succeeded


def test_a_run_that_fails_is_closed_as_one(tracked: MiniProject, opened: list[Any]) -> None:
    with pytest.raises(ValueError, match="no luck"):
        tracked.run(pipeline_names=["failing"])
    assert opened[1].succeeded is False


def test_a_planted_secret_and_the_users_places_reach_no_tracker(tracked: MiniProject, opened: list[Any]) -> None:
    planted = {"refinement": {"forbidden": [SECRET, f"{tracked.path}/x"]}}
    with pytest.raises(ValueError, match="no luck"):
        tracked.run(pipeline_names=["failing"], params=planted)
    (_, run_name, parameters, path) = opened[0]
    assert path == tracked.path
    assert parameters["refinement"]["forbidden"] == ["***", "x"]
    assert parameters["seed"] == 0
    assert SECRET not in f"{run_name}{parameters}{opened[1].points}"


def test_a_tracker_that_fails_does_not_stop_the_run(
    tracked: MiniProject, opened: list[Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(ListTracker, "log", refuse)
    tracked.run(pipeline_names=["made"])
    assert caplog.text.count("ListTracker is left out of the rest of the run: disk full") == 1


def test_without_trackers_nothing_is_imported(tracked: MiniProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(name: str) -> None:
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(importlib, "import_module", explode)
    assert open_trackers(TrackingOptions(), "run", {}, tracked.path) == []


@pytest.mark.parametrize("name", ["mlflow", "trackio"])
def test_a_tracker_that_is_not_installed_is_named_with_its_extra(
    tracked: MiniProject, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    monkeypatch.setenv("TRACKIO_DIR", "unused")
    with pytest.raises(TrackerError, match=rf"tracking\.{name} is true, .*pip install -e '\.\[{name}\]'"):
        tracked.run(pipeline_names=["made"], params={"tracking": {name: True}})


def test_trackio_has_the_run(tracked: MiniProject, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio")
    for module in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, module)  # it reads its folder when it is imported
    monkeypatch.setenv("TRACKIO_DIR", "")
    monkeypatch.delenv("TRACKIO_DIR")
    params = {"tracking": {"trackio": True, "experiment": "mine"}, "refinement": {"forbidden": [SECRET]}}
    tracked.run(pipeline_names=["made"], params=params)
    (file,) = (tracked.path / "data" / "08_reporting" / "trackio").glob("*.db")
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT step, metrics FROM metrics ORDER BY id").fetchall()
        ((config,),) = database.execute("SELECT config FROM configs").fetchall()
    curve = {step: json.loads(metrics) for step, metrics in rows if b"/loss" in bytes(metrics)}
    assert {step: metrics["finetune.refinements.n6/loss"] for step, metrics in curve.items()} == {1: 2.5, 2: 1.25}
    values = {key: value for _, metrics in rows for key, value in json.loads(metrics).items()}
    assert values["model_metrics/refinements_n6/rouge_l/value"] == 0.5
    assert values["succeeded"] == 1
    assert json.loads(config)["train_sizes"] == [6, 12]
    assert SECRET.encode() not in file.read_bytes()


def test_mlflow_has_the_run(tracked: MiniProject) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    pytest.importorskip("sqlalchemy")
    tracked.run(pipeline_names=["made"], params={"tracking": {"mlflow": True}, "refinement": {"forbidden": [SECRET]}})
    file = tracked.path / "mlflow.db"
    client = mlflow.MlflowClient(f"sqlite:///{file}")
    (run,) = client.search_runs([client.get_experiment_by_name("ilf_kedro").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["finetune.training.learning_rate"] == "0.0002"
    assert run.data.metrics["model_metrics/refinements_n6/rouge_l/value"] == 0.5
    curve = client.get_metric_history(run.info.run_id, "finetune.refinements.n6/loss")
    assert [(point.step, point.value) for point in curve] == [(1, 2.5), (2, 1.25)]
    assert SECRET.encode() not in file.read_bytes()
    with pytest.raises(TrackerError, match="does not answer"):
        MlflowTracker(TrackingOptions(mlflow_tracking_uri="nonsense://x"), "run", {}, Path(tracked.path))


def test_every_tracker_can_be_asked_for() -> None:
    """Each switch among the options opens the tracker of that name."""
    switches = [name for name, field in TrackingOptions.model_fields.items() if field.annotation is bool]
    assert switches == ["mlflow", "trackio"]
    assert {MlflowTracker, TrackioTracker} <= {each for each in vars(trackers).values() if isinstance(each, type)}
