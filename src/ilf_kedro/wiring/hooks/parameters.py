"""What the parameters say that no run will use."""

from __future__ import annotations

import logging
from typing import cast

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from ilf_kedro.wiring.context import ProjectContext

logger = logging.getLogger(__name__)


class ParameterHook:
    """Names settings without effect; wrong parameters are refused by the context itself."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Name the train sizes that have settings but are not trained at."""
        parameters = cast(ProjectContext, context).parameters
        for size in parameters.unused_sizes:
            logger.warning(
                "finetune.per_size has settings for the train size %d, which is not in train_sizes (%s): not used",
                size,
                ", ".join(map(str, parameters.train_sizes)),
            )
