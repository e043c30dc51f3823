"""The options of the trackers that may watch a run."""

from __future__ import annotations

from pydantic import Field

from ilf_kedro.schemas import Options


class TrackingOptions(Options):
    """Which experiment trackers a run is written to, beside its own record and tables; by default none.

    A relative SQLite address and `trackio_directory` are below the project. `experiment` is the name under
    which a tracker collects runs. Of the tables named, every number is a metric.
    """

    mlflow: bool = False
    mlflow_tracking_uri: str = Field(default="sqlite:///mlflow.db", min_length=1)
    trackio: bool = False
    trackio_directory: str = Field(default="data/08_reporting/trackio", min_length=1)
    experiment: str = Field(default="ilf_kedro", pattern=r"^[\w-]+$")
    tables: tuple[str, ...] = ("model_metrics", "win_rates", "refinement_metrics", "reward_model.accuracy")
