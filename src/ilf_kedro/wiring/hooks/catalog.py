"""The check of the catalog, and of the names that a command chooses from the pipelines."""

from __future__ import annotations

from typing import Any, cast

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from ilf_kedro.wiring.catalog_check import check_catalog, check_place
from ilf_kedro.wiring.config_loader import ConfigurationError, LayeredConfigLoader
from ilf_kedro.wiring.selected_names import find_unknown_names

__all__ = ["CatalogHook", "UnknownNameError"]


class UnknownNameError(ConfigurationError):
    """A command names something that does not exist."""


class CatalogHook:
    """Refuses wrong catalog entries and unknown names before anything runs."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check every entry of the catalog, and the place of the project.

        Raises:
            CatalogError: naming every wrong key, or the folder that Kedro cannot work in.
        """
        check_place(context.project_path)
        check_catalog(cast(LayeredConfigLoader, context.config_loader))

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Check every name: Kedro runs the nodes of the tags that it knows, and is silent about the others.

        Raises:
            UnknownNameError: with the nearest right name, or those that there are.
        """
        if unknown := find_unknown_names(run_params):
            raise UnknownNameError("\n".join(["Nothing was run.", *unknown]))
