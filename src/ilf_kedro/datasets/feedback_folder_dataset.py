"""The folder of feedback files as a catalog entry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from ilf_kedro.datasets._paths import project_path
from ilf_kedro.datasets.feedback_folder import FeedbackFolder


class FeedbackFolderDataset(AbstractDataset[NoReturn, FeedbackFolder]):
    """Gives nodes a `FeedbackFolder` in a local directory, whose files people fill in.

    Example:
        ```yaml
        rounds.feedback_folder:
          type: ilf_kedro.datasets.FeedbackFolderDataset
          filepath: data/01_raw/feedback
        ```
    """

    def __init__(self, *, filepath: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Points at a local directory, which need not exist yet."""
        protocol, path = get_protocol_and_path(filepath)
        if protocol != "file":
            raise DatasetError(f"the folder of feedback files must be a local directory, found {filepath}")
        self._directory = project_path(path)
        self.metadata = metadata

    def load(self) -> FeedbackFolder:
        """Return the folder."""
        return FeedbackFolder(Path(self._directory))

    def save(self, data: NoReturn) -> None:
        """Refuse: people fill the files in.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("a folder of feedback files cannot be saved; people fill its files in")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._directory}
