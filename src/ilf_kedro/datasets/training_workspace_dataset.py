"""Where trainings keep their unfinished state and finished results, as a catalog entry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from ilf_kedro.datasets._paths import project_path
from ilf_kedro.training.workspace import TrainingWorkspace


class TrainingWorkspaceDataset(AbstractDataset[NoReturn, TrainingWorkspace]):
    """Gives nodes a `TrainingWorkspace` in a local directory, which trainings themselves fill.

    Example:
        ```yaml
        training_workspace:
          type: ilf_kedro.datasets.TrainingWorkspaceDataset
          filepath: data/06_models/trainings
        ```
    """

    def __init__(self, *, filepath: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Points at a local directory, which need not exist yet."""
        protocol, path = get_protocol_and_path(filepath)
        if protocol != "file":
            raise DatasetError(
                f"the training workspace must be a local directory, found {filepath}: trainings read and write it all "
                "the time. Finished checkpoints may be saved remotely, by a CheckpointDataset."
            )
        self._directory = project_path(path)
        self.metadata = metadata

    def load(self) -> TrainingWorkspace:
        """Return the workspace."""
        return TrainingWorkspace(Path(self._directory))

    def save(self, data: NoReturn) -> None:
        """Refuse: trainings fill the workspace themselves.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("a training workspace cannot be saved; trainings fill it themselves")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._directory}
