"""The project's context: parameters checked, and pipelines built from them, as soon as a session begins."""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

from attrs import define, field
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines, settings
from kedro.io import CatalogProtocol, DataCatalog, DatasetNotFoundError
from kedro.server.utils import KEDRO_SERVER_ENV
from kedro.utils import find_kedro_project

from ilf_kedro.schemas.suggestions import suggest
from ilf_kedro.wiring.config_loader import ConfigurationError, LayeredConfigLoader
from ilf_kedro.wiring.parameter_check import check_parameters
from ilf_kedro.wiring.parameters import Parameters

__all__ = ["ProjectContext", "configuration", "declared_parameters"]

# A variable of the context (contextvars), not of the module: each request of a server has its own.
_DECLARED: ContextVar[tuple[Parameters, LayeredConfigLoader] | None] = ContextVar("declared", default=None)


@define(slots=False)
class ProjectContext(KedroContext):
    """Kedro's context, which refuses wrong parameters and builds the pipelines that the right ones declare.

    Pipelines follow the parameters (arms, sizes, rounds), and Kedro keeps one registry a process, so that every
    session must have its own built: those of a run, of a server's request, of a notebook and of kedro-viz, which calls
    no hooks. Reading `context.params` in a hook would build it too early.

    Raises:
        ParameterError: naming every wrong key and value.
    """

    parameters: Parameters = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Check the parameters of the chosen environment, `--params` included, and build the pipelines."""
        loader = cast(LayeredConfigLoader, self.config_loader)
        self.parameters = check_parameters(loader)
        _DECLARED.set((self.parameters, loader))
        pipelines.configure("ilf_kedro.pipeline_registry")
        pipelines.keys()  # builds them: in a notebook, the variable is not seen by the next cell

    def _get_catalog(
        self,
        catalog_class: type = DataCatalog,
        save_version: str | None = None,
        load_versions: dict[str, str] | None = None,
    ) -> CatalogProtocol[Any, Any]:
        try:
            catalog: CatalogProtocol[Any, Any] = super()._get_catalog(catalog_class, save_version, load_versions)
        except DatasetNotFoundError as error:
            known = {name for pipeline in pipelines.values() for name in pipeline.datasets()}
            wrong = [name for name in load_versions or {} if name not in known]
            if not wrong:
                raise
            lines = [f"  {name}: there is no such data set; {suggest(name, known)}" for name in wrong]
            raise ConfigurationError("\n".join(["--load-versions is wrong; nothing was run.", *lines])) from error
        return catalog


def declared_parameters() -> Parameters:
    """Return the parameters that the pipelines' structure follows: those of the session that this is called in.

    Some commands have none, such as `kedro registry list`: they get the environment that the variable KEDRO_ENV
    names, or the option `--env` of `kedro server start`.

    Raises:
        ParameterError: the parameters are wrong.
    """
    if (declared := _DECLARED.get()) is not None:
        return declared[0]
    return check_parameters(configuration())


def configuration() -> LayeredConfigLoader:
    """Return the configuration of the session that this is called in, or that of the variable KEDRO_ENV (see above)."""
    if (declared := _DECLARED.get()) is not None:
        return declared[1]
    project = find_kedro_project(Path.cwd()) or Path(__file__).parents[3]
    env = os.getenv("KEDRO_ENV") or os.getenv(KEDRO_SERVER_ENV)
    arguments: dict[str, Any] = settings.CONFIG_LOADER_ARGS
    return LayeredConfigLoader(project / settings.CONF_SOURCE, env, **arguments)
