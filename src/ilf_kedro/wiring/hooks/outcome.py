"""The end of a run: where its record and the report are, or where it stopped."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from ilf_kedro.language_models.checkpoints.checkpoint import Checkpoint, ModelSource
from ilf_kedro.language_models.checkpoints.weights import ModelDirectoryError
from ilf_kedro.schemas.redaction import redact

__all__ = ["OutcomeHook"]

logger = logging.getLogger(__name__)


class OutcomeHook:
    """Says in the log's last lines what came of the run, and in an error's message where it arose."""

    @hook_impl
    def on_node_error(self, error: Exception, node: Node, inputs: dict[str, Any]) -> None:
        """Name the node, and the catalog entry of the model whose files are at fault."""
        at_fault = ", ".join(_models_at_fault(error, inputs))
        error.add_note(f"(in the node {node.name}{f'; in the catalog it is {at_fault}' if at_fault else ''})")

    @hook_impl(trylast=True)
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Log where the run record and, if one was made, the report are."""
        made = [name for name in ("run_record", "report") if name == "run_record" or name in pipeline.all_outputs()]
        for name in made:
            if path := kept_path(name, catalog, Path(run_params["project_path"])):
                logger.info("%s: %s", name.replace("_", " ").capitalize(), path)


def _models_at_fault(error: BaseException | None, inputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of those inputs whose models' files an error in a chain of causes is about."""
    while error is not None:
        if isinstance(error, ModelDirectoryError):
            around = {error.place, *error.place.parents}
            yield from (name for name, value in inputs.items() if _directories(value) & around)
        error = error.__cause__


def _directories(value: object) -> set[Path]:
    """Return where the files of a node's input lie, if it is a model: a base, or one that was trained."""
    sources = (value, getattr(value, "source", None), getattr(value, "checkpoint", None))
    return {source.directory for source in sources if isinstance(source, ModelSource | Checkpoint)}


def kept_path(name: str, catalog: DataCatalog, project: Path) -> str | None:
    """Return where a data set is, relative to the project where it lies in it; None where it is nowhere.

    A run that makes only what is missing may have left it to an earlier one.
    """
    dataset = catalog.get(name) if name in catalog else None
    filepath = getattr(dataset, "_filepath", None)
    if not isinstance(dataset, AbstractVersionedDataset) or filepath is None:
        return None
    version = dataset.resolve_save_version()
    path = filepath / version / filepath.name if version else filepath
    earlier = ""
    if not dataset._exists_function(str(path)):  # noqa: SLF001  # exists() asks for the version that is loaded
        if not dataset.exists():
            return None
        path, earlier = filepath / str(dataset.resolve_load_version()) / filepath.name, " (made by an earlier run)"
    protocol = getattr(dataset, "_protocol", "file")
    return (redact(str(path), project) if protocol == "file" else f"{protocol}://{path}") + earlier
