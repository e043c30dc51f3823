"""What happens around a run: one class a file."""

from ilf_kedro.wiring.hooks.capabilities import CapabilityHook
from ilf_kedro.wiring.hooks.catalog import CatalogHook
from ilf_kedro.wiring.hooks.missing_inputs import MissingInputsHook
from ilf_kedro.wiring.hooks.one_run import OneRunHook
from ilf_kedro.wiring.hooks.outcome import OutcomeHook
from ilf_kedro.wiring.hooks.parameters import ParameterHook
from ilf_kedro.wiring.hooks.prompts import PromptHook
from ilf_kedro.wiring.hooks.run_record import RunRecordHook
from ilf_kedro.wiring.hooks.tracking import TrackingHook
from ilf_kedro.wiring.hooks.verifier import VerifierHook
from ilf_kedro.wiring.hooks.versions import VersionHook

__all__ = [
    "CapabilityHook",
    "CatalogHook",
    "MissingInputsHook",
    "OneRunHook",
    "OutcomeHook",
    "ParameterHook",
    "PromptHook",
    "RunRecordHook",
    "TrackingHook",
    "VerifierHook",
    "VersionHook",
]
