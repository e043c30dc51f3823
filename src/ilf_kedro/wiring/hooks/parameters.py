"""The check of the parameters, before the registry is built from them."""

from __future__ import annotations

import logging
from typing import cast

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines

from ilf_kedro.wiring.config_loader import LayeredConfigLoader
from ilf_kedro.wiring.parameter_check import check_parameters

logger = logging.getLogger(__name__)


class ParameterHook:
    """Refuses wrong parameters before anything runs, and has the pipelines built from the right ones."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Check the parameters of the chosen environment, `--params` included.

        They are read from the config loader: reading `context.params` would build the registry. A registry
        built before (for another environment) is forgotten: `register_pipelines` reads the same loader.

        Raises:
            ParameterError: naming every wrong key and value.
        """
        parameters = check_parameters(cast(LayeredConfigLoader, context.config_loader))
        for size in parameters.unused_sizes:
            logger.warning(
                "finetune.per_size has settings for the train size %d, which is not in train_sizes (%s): not used",
                size,
                ", ".join(map(str, parameters.train_sizes)),
            )
        pipelines.configure("ilf_kedro.pipeline_registry")
