"""Versions: a run reads what it saved itself, and the older tables that it is asked to read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, DataCatalog
from kedro.io.core import Version
from kedro.pipeline import Pipeline

from ilf_kedro.schemas.suggestions import suggest
from ilf_kedro.wiring.config_loader import ConfigurationError
from ilf_kedro.wiring.hooks.run_record import RECORD

__all__ = ["VersionHook"]

_SHOWN = 5  # of the versions that exist


class VersionHook:
    """Refuses versions that cannot be loaded, and fixes those that the run loads and saves.

    Kedro loads the latest version of a table, even where another run in the same folder has saved it in the meantime.
    """

    def __init__(self) -> None:
        self._catalog: DataCatalog | None = None

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check `--load-versions`, and fix the version of every data set that the run reads or makes.

        Raises:
            ConfigurationError: naming each data set that the run does not read, that it makes itself, or that has no
                such version.
        """
        asked: Mapping[str, str] = run_params.get("load_versions") or {}
        if faults := list(_faults(asked, pipeline, catalog)):
            raise ConfigurationError("\n".join(["--load-versions is wrong; nothing was run.", *faults]))
        for name in pipeline.inputs():
            dataset = _versioned(name, catalog)
            if dataset is not None and dataset.exists():
                _fix(dataset, load=dataset.resolve_load_version())
        # With --only-missing-outputs, Kedro is still to look which outputs have a version.
        made = set() if run_params.get("only_missing_outputs") else pipeline.all_outputs()
        for name in {*made, RECORD}:
            _fix_saved(name, catalog)
        self._catalog = catalog

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Fix the version of what the run turns out to make."""
        if self._catalog is not None:
            _fix_saved(dataset_name, self._catalog)


def _faults(asked: Mapping[str, str], pipeline: Pipeline, catalog: DataCatalog) -> Iterator[str]:
    made, read = pipeline.all_outputs(), pipeline.inputs()
    for name, version in asked.items():
        dataset = _versioned(name, catalog)
        if name in made:
            yield (
                f"  {name}: this run makes it, so that it reads its own; leave out its version, or the pipeline that "
                "makes it (--pipelines)"
            )
        elif name not in read:
            versioned = [each for each in read if _versioned(each, catalog) is not None]
            yield f"  {name}: this run does not read it; {suggest(name, versioned)}"
        elif dataset is None:
            yield f"  {name}: it has no versions (its catalog entry says nothing of `versioned: true`)"
        elif version not in (versions := dataset.list_versions(full_path=False)):
            yield f"  {name}: there is no version {version}; {_list(versions)}"


def _list(versions: Collection[str]) -> str:
    if not versions:
        return "there is none at all"
    shown = ", ".join(list(versions)[:_SHOWN])
    return f"the latest: {shown}" if len(versions) > _SHOWN else f"there are {shown}"


def _versioned(name: str, catalog: DataCatalog) -> AbstractVersionedDataset[Any, Any] | None:
    dataset = catalog.get(name)
    if isinstance(dataset, AbstractVersionedDataset) and dataset._version is not None:  # noqa: SLF001
        return dataset
    return None


def _fix_saved(name: str, catalog: DataCatalog) -> None:
    if (dataset := _versioned(name, catalog)) is not None:
        _fix(dataset, load=dataset.resolve_save_version())


def _fix(dataset: AbstractVersionedDataset[Any, Any], *, load: str | None) -> None:
    dataset._version = Version(load, dataset.resolve_save_version())  # noqa: SLF001  # Kedro sets it only at creation
