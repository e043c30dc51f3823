"""A verifier that cannot be used is named before a run starts."""

from __future__ import annotations

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ilf_kedro.pipelines.reporting.pass_rates import verify_outputs
from ilf_kedro.pipelines.selection.nodes import score_verifier
from ilf_kedro.pipelines.selection.options import SelectionOptions
from ilf_kedro.schemas import UserError
from ilf_kedro.scoring.verifier import check_verifier
from ilf_kedro.wiring.config_loader import ConfigurationError

__all__ = ["VerifierError", "VerifierHook"]


class VerifierError(ConfigurationError):
    """The function that the parameters name as the verifier cannot be used."""


class VerifierHook:
    """Starts the verifier once where a pipeline has that scorer, so that no request is paid for in vain."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check `selection.verifier`.

        Raises:
            VerifierError: there is no such function, or it does not take a row and the arguments.
        """
        if not any(node.func in (score_verifier, verify_outputs) for node in pipeline.nodes):
            return
        options = SelectionOptions.model_validate(catalog.load("params:selection"))
        try:
            check_verifier(options.verifier)
        except UserError as error:
            raise VerifierError(f"Nothing was run. {error}") from error
