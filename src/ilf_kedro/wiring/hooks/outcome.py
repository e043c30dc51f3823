"""The end of a run: where the report is, or what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, DataCatalog, DatasetError
from kedro.pipeline import Pipeline
from kedro.validation.exceptions import DataValidationError

from ilf_kedro.schemas.redaction import redact

__all__ = ["OutcomeHook", "RunError", "find_message"]

logger = logging.getLogger(__name__)


class RunError(click.ClickException):
    """A run stopped for a reason that its user can remove."""


class OutcomeHook:
    """Says in the log's last lines what came of the run."""

    @hook_impl(trylast=True)
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Log where the run record and, if one was made, the report are."""
        made = [name for name in ("run_record", "report") if name == "run_record" or name in pipeline.all_outputs()]
        for name in made:
            if path := saved_path(name, catalog, Path(run_params["project_path"])):
                logger.info("%s: %s", name.replace("_", " ").capitalize(), path)

    @hook_impl(trylast=True)
    def on_pipeline_error(self, error: Exception, run_params: dict[str, Any]) -> None:
        """End a command with the message alone where the user can remove the cause.

        Anything else is a defect and keeps its traceback, and so does every error in a notebook.

        Raises:
            RunError: in place of an error of the project's own classes.
        """
        message = find_message(error)
        if message is not None and click.get_current_context(silent=True) is not None:
            raise RunError(redact(message, Path(run_params["project_path"]))) from error


def find_message(error: BaseException) -> str | None:
    """Return what to tell the user, or None where the error is a defect of the program.

    The project's own error classes are messages, wherever they stand in the chain of causes (a data set
    wraps what it raises), and so are data that break their table's rules, and what a data set says that
    neither wraps nor hides another error than one of the file system.
    """
    chain = list(_chain(error))
    for each in chain:
        own = type(each).__module__.startswith("ilf_kedro.")
        if own or isinstance(each, (click.ClickException, DataValidationError)):
            return str(each)
    is_plain = isinstance(error, DatasetError) and isinstance(chain[-1], (DatasetError, OSError))
    return str(error) if is_plain else None


def saved_path(name: str, catalog: DataCatalog, project: Path) -> str | None:
    """Return where this run saved a data set, relative to the project where it lies in it."""
    dataset = catalog.get(name) if name in catalog else None
    filepath = getattr(dataset, "_filepath", None)
    if not isinstance(dataset, AbstractVersionedDataset) or filepath is None:
        return None
    version = dataset.resolve_save_version()
    path = filepath / version / filepath.name if version else filepath
    protocol = getattr(dataset, "_protocol", "file")
    return redact(str(path), project) if protocol == "file" else f"{protocol}://{path}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
