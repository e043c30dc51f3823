"""Missing inputs are named before a run starts, with the pipeline that makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset, DataCatalog
from kedro.pipeline import Pipeline

from ilf_kedro.datasets import LanguageModelDataset
from ilf_kedro.schemas.wording import counted
from ilf_kedro.wiring.config_loader import ConfigurationError

__all__ = ["MissingInputsError", "MissingInputsHook"]

_SUMS = frozenset({"__default__", "full"})  # pipelines made of others: the others are the better advice


class MissingInputsError(ConfigurationError):
    """A pipeline was asked for whose inputs were never made."""


class MissingInputsHook:
    """Checks that what a pipeline reads, and does not make itself, is there."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Look for every free input of the pipeline.

        Raises:
            MissingInputsError: naming each missing data set and the pipeline that makes it.
        """
        missing = _missing_inputs(pipeline, catalog)
        if not missing:
            return
        lines = [f"{counted(len(missing), 'missing input')}; nothing was run."]
        lines += [f"  {_explain(name, catalog)}" for name in missing]
        if makers := _makers(missing, catalog):
            environment = f" --env {run_params['env']}" if run_params.get("env") else ""
            lines.append(f"Make them with: kedro run --pipelines {','.join(makers)}{environment}")
        raise MissingInputsError("\n".join(lines))


def _missing_inputs(pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
    return [name for name in sorted(pipeline.inputs()) if _is_missing(name, catalog)]


def _is_missing(name: str, catalog: DataCatalog) -> bool:
    if name == "parameters" or name.startswith("params:"):
        return False
    dataset = catalog.get(name)
    if dataset is None:
        return True
    if type(dataset)._exists is AbstractDataset._exists:  # noqa: SLF001  # this kind of data set cannot tell
        return False
    return not dataset.exists()


def _explain(name: str, catalog: DataCatalog) -> str:
    dataset, maker = catalog.get(name), _maker(name)
    if maker is not None:
        kept = "" if dataset else " (it is not in the catalog, so it is not kept between runs)"
        return f"{name}: made by the pipeline {maker}{kept}"
    if dataset is None:
        return f"{name}: no pipeline makes it, and it is not in the catalog; add an entry to conf/*/catalog*.yml"
    if isinstance(dataset, LanguageModelDataset):
        return f"{name}: {dataset.remedy}: {dataset}"
    return f"{name}: no pipeline makes it; put the file where its catalog entry says: {dataset}"


def _maker(name: str) -> str | None:
    """Return the registered pipeline that makes a data set; not a sum of pipelines."""
    made_by = (key for key, pipeline in pipelines.items() if key not in _SUMS and name in pipeline.all_outputs())
    return next(made_by, None)


def _makers(missing: Iterable[str], catalog: DataCatalog) -> list[str]:
    """Return the pipelines to run for the missing data sets, those that they need in turn included.

    They come in the order of the registry, which is the order of the flow.
    """
    found: set[str] = set()
    todo = list(missing)
    while todo:
        maker = _maker(todo.pop())
        if maker is not None and maker not in found:
            found.add(maker)
            todo += _missing_inputs(pipelines[maker], catalog)
    return [name for name in pipelines if name in found]
